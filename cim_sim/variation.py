"""Device variation: what a programmed weight becomes."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cim_sim.config import Config

WEIGHT_BITS = 8


def effective_sigma(cell_sigma: float, cell_bits: int, weight_bits: int = WEIGHT_BITS) -> float:
    """Standard deviation of a weight relative to w_max, from that of one cell.

    A weight is coded offset-binary, round(2^(M-1) w/w_max + 2^(M-1)), and cut into M/K digits of
    K bits, one cell each; every cell errs by `cell_sigma` of its conductance range. One code step
    is w_max / 2^(M-1), hence twice the figure for sign-magnitude coding.
    """
    digits = range(0, weight_bits, cell_bits)
    steps = cell_sigma * (2**cell_bits - 1) * sum(4.0**shift for shift in digits) ** 0.5
    return float(steps / 2 ** (weight_bits - 1))


class Variation(Config):
    """How far a programmed weight strays, given for the weight or for one cell of a device."""

    sigma: Annotated[float, Field(ge=0, le=1)] | None = None
    """Effective, relative to max|w|, whatever the number of bits in a cell."""
    cell_sigma: Annotated[float, Field(ge=0, le=1)] | None = None
    """Of one cell, relative to its conductance range; converted with the cell bits."""
    state_dependence: Literal["uniform", "evaxb-fefet2", "evaxb-rram4", "evaxb-fefet6"] = "uniform"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.sigma is None) == (self.cell_sigma is None):
            raise ValueError("give exactly one of sigma (of a weight) and cell_sigma (of a cell)")
        return self

    def effective(self, cell_bits: int) -> float:
        """Effective sigma of a weight stored in cells of `cell_bits`."""
        if self.sigma is not None:
            return self.sigma
        assert self.cell_sigma is not None
        return effective_sigma(self.cell_sigma, cell_bits)
