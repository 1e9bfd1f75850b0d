"""The family of search tasks: hardware, variation, objective and limits over a family of spaces.

`cut.py` says where training ends, `spaces.py` draws the spaces. Splits: `train`; `validation` (own
platforms and bands); `near` (test platforms and bands, else as in training); and near with one
thing more: `hardware` (held-out cells), `space` (unseen spaces), `tight` (limits beyond the trained
ones), `objective` (energy-delay product), `digits` (the second data set), `blind` (the proposer is
told nothing of the scenario).
"""

from typing import Any, get_args

import numpy as np

from cim_sim.config import UsageError
from cim_sim.hardware import CellBits, FixedHardware, Mapping, Subarray, cell_bits_of
from cim_sim.scenario import ACCURACY_MARGIN, DelayObjective, Objective
from cim_sim.space import Space
from cim_sim.variation import effective_sigma
from cim_sim.workload import Workload
from search.record.tasks import Task
from search.study.cut import (
    BENCH_SIGMAS,
    Split,
    belongs,
    generator,
    part_of,
    platforms,
    require_possible,
    sigmas,
    stays_in,
)
from search.study.normalisers import TypicalCosts, typical_costs
from search.study.spaces import EMBEDDED, fixed_space, training_space, unseen_space

AREA_SHARES = (1.0, 0.7, 0.4, 0.2, 0.1, 0.05)
"""Share of the designs with a floorplan that an area limit leaves; 1: no limit."""
TIGHT_AREA_SHARES = (0.02, 0.01)
LEAST_FLOORPLANS = 0.05
"""Share of random designs that must have a floorplan for a hardware setting to be used."""
MOST_TRIED = 200
"""Settings that are tried for one task."""

TYPICAL_ACCURACY: dict[str, tuple[tuple[float, float], ...]] = {
    "shapes": ((0.02, 0.68), (0.05, 0.66), (0.07, 0.63), (0.1, 0.58), (0.15, 0.43), (0.2, 0.32)),
    "digits": ((0.02, 0.95), (0.05, 0.94), (0.1, 0.87), (0.15, 0.73), (0.2, 0.56)),
}
"""(sigma, median of what the surrogate says of 3,000 random embedded networks that are trained and
tested at that sigma, converters of 32 levels on 128 word lines)."""
CHANCE = 0.1
"""Accuracy of guessing one of ten classes."""
ACCURACY_SHARES = (0.75, 0.9, 1.05)
"""The bar of a least accuracy lies so far from chance to the typical one."""
TIGHT_ACCURACY_SHARES = (1.15, 1.25)
HIGHEST_BAR = 2 / 3
"""Of what the typical accuracy lacks to 1, the most that a bar asks for."""
LIMITED_ENERGY = 0.25
"""Share of tasks with a least accuracy, where the objective does not need one."""
BLIND = 100_000
"""First number of the blind tasks among those of near."""


def tasks(
    split: Split,
    count: int,
    *,
    first: int = 0,
    space: Space | None = None,
    bench_sigmas: bool = False,
) -> list[Task]:
    """Return `count` tasks of a split; a longer list begins with the shorter one.

    Args:
        split: which part.
        count: how many.
        first: number of the first one, for parts of a long list.
        space: take this one for all of them instead of those that the family draws.
        bench_sigmas: draw sigma from the accuracy benchmark's levels alone and take the space
            `embedded`, so that real trainings answer; for `train` only.

    Raises:
        UsageError: `bench_sigmas` outside `train`, or a space that the split cannot have.
    """
    if bench_sigmas and split != "train":
        raise UsageError(f"bench_sigmas is for the split train: no level of it is in {split}")
    if bench_sigmas and space is None:
        space = EMBEDDED
    if space is not None:
        require_possible(split, space)
    return [_task(split, index, space, bench_sigmas) for index in range(first, first + count)]


def _task(split: Split, index: int, space: Space | None, bench_sigmas: bool) -> Task:
    part, rng = part_of(split), _stream(split, index, bench_sigmas)
    drawn = _space(split, index, rng)
    space = space or drawn
    workload = Workload(dataset="digits" if split == "digits" else "shapes")
    hardware = _hardware(rng, split, space)
    known = [s for s in sigmas(part) if s in BENCH_SIGMAS or not bench_sigmas]
    sigma = float(rng.choice([s for s in known if stays_in(part, s, space)]))
    costs = typical_costs(space, hardware, workload)
    objective = _objective(split, index, costs)
    bar_share, area_share = _shares(rng, split, index, objective)
    scenario = {
        "name": f"{split}-{index:04d}",
        "workload": workload,
        "hardware": hardware,
        "variation": _variation(sigma, space),
        "objective": objective,
        "limits": {
            "area_um2": None if area_share == 1 else costs.area_limit(area_share),
            "accuracy": bar_share and _least_accuracy(bar_share, workload.dataset, sigma),
        },
    }
    task = Task.model_validate({"space": space, "scenario": scenario, "told": split != "blind"})
    task.scenario.require_fits(task.space)
    return task


def _stream(split: Split, index: int, bench_sigmas: bool) -> np.random.Generator:
    """Random numbers of a task: digits mirrors near, blind continues it."""
    if split in ("digits", "blind"):
        return generator("near", index + (BLIND if split == "blind" else 0))
    return generator("train on the bench" if bench_sigmas else split, index)


def _space(split: Split, index: int, rng: np.random.Generator) -> Space:
    if split == "space":
        return unseen_space(rng, index)
    return fixed_space(rng) if split in ("hardware", "blind") else training_space(rng)


def _hardware(rng: np.random.Generator, split: Split, space: Space) -> FixedHardware:
    """Draw settings until one has cells of the split and gives enough designs a floorplan.

    Raises:
        UsageError: none of many does.
    """
    usable = [
        platform
        for platform, owner in platforms().items()
        if owner == part_of(split)
        and ("cell_bits" not in space.freed or len(cell_bits_of(platform.device)) > 1)
    ]
    tried = 0
    while tried < MOST_TRIED:
        fields: dict[str, Any] = usable[rng.integers(len(usable))]._asdict()
        for name, kind in (("subarray", Subarray), ("cell_bits", CellBits), ("mapping", Mapping)):
            fields[name] = get_args(kind)[rng.integers(len(get_args(kind)))]
        if fields["cell_bits"] not in cell_bits_of(fields["device"]):
            fields["cell_bits"] = 1
        fixed = {name: value for name, value in fields.items() if name not in space.freed}
        hardware = FixedHardware.model_validate(fixed)
        if not belongs(split, space, hardware):
            continue
        tried += 1
        if typical_costs(space, hardware, Workload()).floorplan_share >= LEAST_FLOORPLANS:
            return hardware
    raise UsageError(
        f"space {space.name}: of {tried} platforms of the split {split} none gives "
        f"{LEAST_FLOORPLANS:.0%} of its designs a floorplan; allow wider layers"
    )


def _objective(split: Split, index: int, costs: TypicalCosts) -> Objective:
    """Energy and latency in turn; energy-delay for the split that is named after it."""
    delay = [one for one in costs.objectives if isinstance(one, DelayObjective)]
    trained = [one for one in costs.objectives if one not in delay]
    return delay[0] if split == "objective" else trained[index % len(trained)]


def _shares(
    rng: np.random.Generator, split: Split, index: int, objective: Objective
) -> tuple[float | None, float]:
    """Draw how far a least accuracy goes, and what an area limit leaves.

    Tight tasks have one limit beyond the trained range, in turn: the bar, or the area.
    """
    area, bar = float(rng.choice(AREA_SHARES)), float(rng.choice(ACCURACY_SHARES))
    limited = rng.random() < LIMITED_ENERGY or objective.needs_accuracy_limit
    if split != "tight":
        return bar if limited else None, area
    if index // 2 % 2 == 0:
        return float(rng.choice(TIGHT_ACCURACY_SHARES)), max(area, AREA_SHARES[2])
    return ACCURACY_SHARES[0] if limited else None, float(rng.choice(TIGHT_AREA_SHARES))


def _variation(sigma: float, space: Space) -> dict[str, float]:
    """Return the variation of a weight; where cell bits are free, of a cell: they act through it.

    The cell's is the one that gives `sigma` with four bits in a cell, the most that `sigma` gets.
    """
    if "cell_bits" in space.freed:
        return {"cell_sigma": round(sigma / effective_sigma(1.0, 4), 5)}
    return {"sigma": sigma}


def _least_accuracy(share: float, dataset: str, sigma: float) -> float:
    """Return the least accuracy whose bar lies `share` of the way from chance to the typical."""
    levels, medians = zip(*TYPICAL_ACCURACY[dataset], strict=True)
    typical = float(np.interp(sigma, levels, medians))
    highest = typical + HIGHEST_BAR * (1 - typical)
    bar = min(CHANCE + share * (typical - CHANCE), highest)
    return round(bar - ACCURACY_MARGIN, 2)
