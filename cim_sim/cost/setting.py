"""One hardware setting with its constants and the whole numbers that follow from it."""

from dataclasses import dataclass
from functools import cache

from cim_sim.cost.accumulation import AdderTrees, adder_trees
from cim_sim.cost.constants import Constants, constants
from cim_sim.cost.layers import INPUT_BITS, cells_per_weight
from cim_sim.hardware import Hardware


@dataclass(frozen=True)
class Setting:
    """What every block of the model asks for."""

    hardware: Hardware
    constants: Constants
    size: float
    """Rows and columns of a subarray, S."""
    mux: int
    """Columns that share an ADC, M."""
    cells: int
    """Cells of one weight."""
    adc_bits: int

    @property
    def array_sum_bits(self) -> int:
        """Width of what a subarray hands on: ADC bits, inputs and weight digits shifted in."""
        return self.adc_bits + INPUT_BITS + self.cells

    @property
    def merges(self) -> int:
        """Weights whose columns share an ADC; 0 where one weight spans several ADCs."""
        return self.mux // self.cells

    @property
    def merges_up(self) -> int:
        """The same rounded up: NeuroSim uses either in different places."""
        return -(-self.mux // self.cells)

    def trees(self, most_inputs: int) -> AdderTrees:
        """Adder trees whose first stage adds what subarrays hand on."""
        return adder_trees(self.constants, self.array_sum_bits + 1, most_inputs)


@cache
def setting(hardware: Hardware) -> Setting:
    """Look the constants up.

    Raises:
        UsageError: the table of constants does not hold this hardware.
    """
    return Setting(
        hardware=hardware,
        constants=constants(hardware),
        size=float(hardware.subarray),
        mux=hardware.col_mux,
        cells=cells_per_weight(hardware),
        adc_bits=(hardware.adc_levels - 1).bit_length(),
    )
