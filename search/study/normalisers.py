"""How large things are in a space: what random designs cost, and the normalisers of the rewards.

Reward (1) subtracts sqrt(energy / normaliser), reward (2) adds frames per second / normaliser.
With the energy of some example design as normaliser the one term swamps accuracy or vanishes, so
both follow from the whole space on the hardware at hand. The energy normaliser is the smallest
that keeps the dearest design above the -1 of an infeasible one, however inaccurate it is. A median
energy term of .2 to .35 follows, since the dearest design takes 8 to 27 times the median energy.
The latency normaliser makes the median latency term equal to that.
"""

from functools import cache, partial
from math import ceil, floor, log10
from typing import NamedTuple

import numpy as np

from cim_sim.hardware import FixedHardware
from cim_sim.scenario import OBJECTIVES, EnergyObjective, Objective, Scenario
from cim_sim.space import Space
from cim_sim.types import Floats, Indices
from cim_sim.variation import Variation
from cim_sim.workload import Workload
from search.landscape import draw, neighbours, prices

SAMPLE = 2000
"""Random designs behind every figure."""
DEAREST_TERM = 0.97
"""sqrt(energy / normaliser) of the dearest design seen; the rest of 1 is for one not seen."""


class TypicalCosts(NamedTuple):
    """What random designs of one space cost on one hardware setting."""

    floorplan_share: float
    """Share of the designs that have a floorplan."""
    areas_um2: Floats
    """Areas of those."""
    objectives: tuple[Objective, ...]
    """Every kind of objective with its normaliser, in the order of `OBJECTIVES`."""

    def area_limit(self, share: float) -> float:
        """Return the area that leaves `share` of the designs with a floorplan."""
        return round_up(float(np.quantile(self.areas_um2, share)), 3)


@cache
def typical_costs(space: Space, hardware: FixedHardware, workload: Workload) -> TypicalCosts:
    """Measure a space on one hardware setting and image set with a fixed random sample."""
    problem = _costs_only(hardware, workload)
    population = draw(space, SAMPLE, np.random.default_rng(0))
    sample = prices(problem, space, population)
    fits = sample.allowed
    if not fits.any():
        return TypicalCosts(0.0, np.array([]), ())
    dearest = _dearest_energy_pj(problem, space, population[fits], sample.energy_pj[fits])
    normaliser_pj = round_up(dearest / DEAREST_TERM**2, 2)
    median_term = float(np.median(np.sqrt(sample.energy_pj[fits] / normaliser_pj)))
    return TypicalCosts(
        floorplan_share=float(fits.mean()),
        areas_um2=sample.area_um2[fits],
        objectives=tuple(
            kind.with_median_term(sample, median_term, partial(round_up, digits=2))
            for kind in OBJECTIVES
        ),
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
        energies = np.nan_to_num(prices(problem, space, near).energy_pj)
        if energies.max() <= energy:
            return energy
        best, energy = near[np.argmax(energies)], float(energies.max())


def _costs_only(hardware: FixedHardware, workload: Workload) -> Scenario:
    """Return a scenario without limits; its variation and objective play no part in prices."""
    return Scenario(
        name="scale",
        workload=workload,
        hardware=hardware,
        variation=Variation(sigma=0.0),
        objective=EnergyObjective(metric="energy"),
    )
