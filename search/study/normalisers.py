"""How large things are in a space: what random designs cost, and the normalisers of the rewards.

Reward (1) subtracts sqrt(energy / normaliser), reward (2) adds frames per second / normaliser.
With the energy of some example design as normaliser the one term swamps accuracy or vanishes, so
both follow from the whole space on the hardware at hand. The energy normaliser is the smallest
that keeps the dearest design above the -1 of an infeasible one, however inaccurate it is. A median
energy term of .2 to .35 follows, since the dearest design takes 8 to 27 times the median energy.
The latency normaliser makes the median latency term equal to that.
"""

from functools import cache
from math import ceil, floor, log10
from typing import Literal, NamedTuple

import numpy as np

from cim_sim.hardware import FixedHardware
from cim_sim.scenario import EnergyObjective, Scenario
from cim_sim.space import Space
from cim_sim.types import Floats, Indices
from cim_sim.variation import Variation
from search.landscape import draw, neighbours, prices

SAMPLE = 2000
DEAREST_TERM = 0.97
"""sqrt(energy / normaliser) of the dearest design found; the rest of 1 is for one not found."""


class Scales(NamedTuple):
    """Figures of one space on one hardware setting."""

    floorplans: float
    """Share of random designs that have a floorplan."""
    area_um2: Floats
    """Areas of those, sorted."""
    normaliser_pj: float
    normaliser_fps: float

    def normaliser(self, metric: Literal["energy", "latency"]) -> dict[str, float]:
        """Return the normaliser of an objective under the name it has there."""
        if metric == "energy":
            return {"normaliser_pj": self.normaliser_pj}
        return {"normaliser_fps": self.normaliser_fps}

    def area_limit(self, share: float) -> float:
        """Return the area that leaves `share` of the designs with a floorplan."""
        return round_up(float(np.quantile(self.area_um2, share)), 3)


@cache
def scales(space: Space, hardware: FixedHardware) -> Scales:
    """Measure a space on one hardware setting with a fixed random sample."""
    problem = _costs_only(hardware)
    population = draw(space, SAMPLE, np.random.default_rng(0))
    sample = prices(problem, space, population)
    fits = sample.allowed
    if not fits.any():
        return Scales(0.0, np.array([]), 1.0, 1.0)
    dearest = _dearest_energy_pj(problem, space, population[fits], sample.energy_pj[fits])
    normaliser_pj = round_up(dearest / DEAREST_TERM**2, 2)
    median_term = np.median(np.sqrt(sample.energy_pj[fits] / normaliser_pj))
    frames_per_second = 1e9 / np.median(sample.latency_ns[fits])
    return Scales(
        floorplans=float(fits.mean()),
        area_um2=np.sort(sample.area_um2[fits]),
        normaliser_pj=normaliser_pj,
        normaliser_fps=round_up(float(frames_per_second / median_term), 2),
    )


def round_up(value: float, digits: int) -> float:
    """Round a positive number up to some significant digits."""
    unit = 10.0 ** (floor(log10(value)) - digits + 1)
    return float(f"{ceil(value / unit - 1e-9) * unit:.{digits}g}")


def _dearest_energy_pj(
    problem: Scenario, space: Space, population: Indices, energy_pj: Floats
) -> float:
    """Climb from the dearest random design to one that no single change makes dearer."""
    best, energy = population[np.argmax(energy_pj)], float(np.max(energy_pj))
    while True:
        near = neighbours(space, best)
        found = np.nan_to_num(prices(problem, space, near).energy_pj)
        if found.max() <= energy:
            return energy
        best, energy = near[np.argmax(found)], float(found.max())


def _costs_only(hardware: FixedHardware) -> Scenario:
    """Return a scenario without limits; its variation and objective play no part in prices."""
    return Scenario(
        name="scale",
        hardware=hardware,
        variation=Variation(sigma=0.0),
        objective=EnergyObjective(metric="energy"),
    )
