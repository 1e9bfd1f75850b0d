"""The accelerator: what a scenario fixes, what a space may free, and a complete setting."""

from typing import Literal, Self

from pydantic import model_validator

from cim_sim.config import Config, UsageError

Device = Literal["rram", "fefet", "sram"]
Mapping = Literal["conventional", "novel"]
Pad = Literal["same", "stock"]
Subarray = Literal[64, 128, 256]
CellBits = Literal[1, 2, 4]
AdcLevels = Literal[16, 32, 64, 128]


def cell_bits_of(device: Device) -> tuple[CellBits, ...]:
    """Return the numbers of bits that a cell of a device may store: an sram cell holds one."""
    return (1,) if device == "sram" else (1, 2, 4)


def require_cell_bits(device: Device, bits: CellBits) -> None:
    """Raise ValueError unless a cell of `device` may store so many bits."""
    if bits not in cell_bits_of(device):
        raise ValueError(f"an sram cell holds 1 bit, found cell_bits {bits}")


FREEABLE = ("subarray", "cell_bits", "adc_levels", "mapping")
"""The hardware fields that a space may hand to the optimiser, in the order of the wire format."""


class FreeHardware(Config):
    """The hardware part of a design; a field the space does not free stays None."""

    subarray: Subarray | None = None
    """Rows and columns of one crossbar."""
    cell_bits: CellBits | None = None
    """Bits stored in one memory cell; an 8-bit weight takes ceil(8 / cell_bits) of them."""
    adc_levels: AdcLevels | None = None
    """Output levels of the bit-line sense amplifier (multilevel)."""
    mapping: Mapping | None = None
    """`conventional`: kernels unrolled into rows; `novel`: a PE for each kernel position."""

    def chosen(self) -> dict[str, int | str]:
        """Return the fields that are set, in wire order."""
        return self.model_dump(exclude_none=True)


class Hardware(Config):
    """One complete accelerator setting, as the cost model needs it."""

    device: Device = "rram"
    subarray: Subarray = 128
    cell_bits: CellBits = 2
    adc_levels: AdcLevels = 32
    node_nm: Literal[22, 32, 45] = 22
    col_mux: Literal[4, 8, 16] = 8
    """Columns that share one ADC."""
    mapping: Mapping = "novel"
    pad: Pad = "same"
    """Input vectors a layer is counted with: `same` H^2, `stock` (H-K+1)^2 as NeuroSim does."""

    @model_validator(mode="after")
    def _sram_cell_holds_one_bit(self) -> Self:
        require_cell_bits(self.device, self.cell_bits)
        return self


class FixedHardware(FreeHardware):
    """What a scenario fixes; the four inherited fields stay None where a space frees them."""

    device: Device = "rram"
    node_nm: Literal[22, 32, 45] = 22
    col_mux: Literal[4, 8, 16] = 8
    pad: Pad = "same"

    @model_validator(mode="after")
    def _sram_cell_holds_one_bit(self) -> Self:
        if self.cell_bits is not None:
            require_cell_bits(self.device, self.cell_bits)
        return self

    def complete(self, free: FreeHardware) -> Hardware:
        """Join the fixed fields with those of a design.

        Raises:
            UsageError: a field is given on both sides or on neither, or the two do not fit.
        """
        fixed, chosen = self.model_dump(exclude_none=True), free.chosen()
        twice = sorted(fixed.keys() & chosen.keys())
        if twice:
            raise UsageError(f"hardware {', '.join(twice)}: fixed by the scenario and freed too")
        absent = [name for name in FREEABLE if name not in fixed and name not in chosen]
        if absent:
            raise UsageError(f"hardware {', '.join(absent)}: neither fixed nor chosen")
        try:
            return Hardware.model_validate({**fixed, **chosen})
        except ValueError as error:
            raise UsageError(f"hardware: {error}") from None
