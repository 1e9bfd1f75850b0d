"""Device variation: what a programmed weight becomes.

Every error here is drawn once, when the weights are written, and stays for the life of that chip:
one Monte Carlo draw is one chip.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cim_sim.config import Config

WEIGHT_BITS = 8

SWIM_VERIFIED_SIGMA = 0.03
"""Cell sigma that is left after write-verify (SWIM, arXiv 2202.08395, `write_var`)."""

StateDependence = Literal["uniform", "evaxb-fefet2", "evaxb-rram4", "evaxb-fefet6"]

MIDDLE_STATE_FACTOR: dict[StateDependence, float] = {
    "uniform": 1.0,
    "evaxb-fefet2": 2.0,
    "evaxb-rram4": 4.0,
    "evaxb-fefet6": 6.0,
}
"""How much noisier a middle conductance is than one near either end (EvaXB's device presets)."""

MIDDLE_STATE = (0.25, 0.75)
"""The middle conductances, as shares of the range, strictly between these (EvaXB).

In offset-binary coding a weight w is the conductance (w / w_max + 1) / 2: the middle states are
the small weights, |w| < w_max / 2.
"""


def effective_sigma(cell_sigma: float, cell_bits: int, weight_bits: int = WEIGHT_BITS) -> float:
    """Standard deviation of a weight relative to w_max, from that of one cell.

    A weight is coded offset-binary, round(2^(M-1) w/w_max + 2^(M-1)), and cut into M/K digits of
    K bits, one cell each; every cell errs by `cell_sigma` of its conductance range. One code step
    is w_max / 2^(M-1), hence twice the figure for sign-magnitude coding.
    """
    digits = range(0, weight_bits, cell_bits)
    steps = cell_sigma * (2**cell_bits - 1) * sum(4.0**shift for shift in digits) ** 0.5
    return float(steps / 2 ** (weight_bits - 1))


def state_factors(dependence: StateDependence) -> tuple[float, float]:
    """Multipliers of sigma for (middle, outer) states.

    EvaXB divides by sqrt(.4 s^2 + .6): the presets share one overall strength where two states in
    five are middle ones. Of the clipped weights of a layer more are, since most lie near 0.
    """
    middle = MIDDLE_STATE_FACTOR[dependence]
    norm = (0.4 * middle**2 + 0.6) ** 0.5
    return middle / norm, 1 / norm


class Variation(Config):
    """How far a programmed weight strays, given for the weight or for one cell of a device."""

    sigma: Annotated[float, Field(ge=0, le=1)] | None = None
    """Effective, relative to max|w|, whatever the number of bits in a cell."""
    cell_sigma: Annotated[float, Field(ge=0, le=1)] | None = None
    """Of one cell, relative to its conductance range; converted with the cell bits."""
    write_verify: bool = False
    """Every cell is read back and corrected after writing: `cell_sigma` falls to SWIM's .03."""
    state_dependence: StateDependence = "uniform"
    """EvaXB's presets; `uniform`: all conductances err alike."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.sigma is None) == (self.cell_sigma is None):
            raise ValueError("give exactly one of sigma (of a weight) and cell_sigma (of a cell)")
        if self.write_verify and self.cell_sigma is None:
            raise ValueError("write_verify works on cells: give cell_sigma, not sigma")
        return self

    def effective(self, cell_bits: int) -> float:
        """Effective sigma of a weight stored in cells of `cell_bits`."""
        if self.sigma is not None:
            return self.sigma
        return effective_sigma(self.written_cell_sigma, cell_bits)

    @property
    def written_cell_sigma(self) -> float:
        """Of one cell once it is written, and verified where that is done."""
        assert self.cell_sigma is not None
        return min(SWIM_VERIFIED_SIGMA, self.cell_sigma) if self.write_verify else self.cell_sigma
