"""The scenario family: valid problems over hardware, variation, objective and limits.

Split once, for all spaces, along two lines that no training scenario crosses:

- hardware by platform (device, ADC levels, node), the part of it that no space frees, so that the
  scenarios of one space give nothing away about another's test. The paper's platform is a test one.
- effective sigma by bands; `BENCH_SIGMAS` are all in `train`. Rounds 1 to 4 of the committed
  table's active trainings (`found`) are older than this split and lie in held-out bands too.
"""

from functools import cache
from itertools import product
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from cim_sim.accuracy.bench.jobs import LEVELS
from cim_sim.config import UsageError
from cim_sim.hardware import (
    AdcLevels,
    CellBits,
    Device,
    FixedHardware,
    Mapping,
    Subarray,
    cell_bits_of,
)
from cim_sim.scenario import OBJECTIVES, Objective, Scenario
from cim_sim.space import Space
from cim_sim.variation import effective_sigma
from cim_sim.workload import Workload
from search.study.normalisers import TypicalCosts, typical_costs

Split = Literal["train", "validation", "test", "digits"]
"""`digits`: the hardware and sigmas of `test` on the second dataset."""
Part = Literal["train", "validation", "test"]
Node = Literal[22, 32, 45]

SEED = 0
"""Root of the split and of all its scenarios."""

PARTS: tuple[Part, ...] = ("test",) * 2 + ("validation",) * 2 + ("train",) * 8
"""Where the twelve platforms of each device go, the first after shuffling first."""

SIGMA_RANGE = range(20, 201)
"""All sigmas, in thousandths."""
SIGMA_BANDS: dict[str, tuple[range, ...]] = {
    "validation": (range(36, 45), range(112, 121)),
    "test": (range(55, 66), range(80, 91), range(130, 141), range(170, 181)),
}
"""Held out; the rest is for training."""
BENCH_SIGMAS = tuple(level for level in LEVELS if level > 0)
"""Levels of variation at which the list of the accuracy benchmark trains."""

AREA_SHARES = (1.0, 0.7, 0.4, 0.2, 0.1, 0.05)
"""Share of the designs with a floorplan that an area limit leaves; 1: no limit."""
LEAST_FLOORPLANS = 0.05
"""Share of random designs that must have a floorplan for a hardware setting to be used."""

TYPICAL_ACCURACY: dict[str, tuple[tuple[float, float], ...]] = {
    "shapes": ((0.02, 0.70), (0.05, 0.68), (0.07, 0.65), (0.1, 0.57), (0.15, 0.43), (0.2, 0.30)),
    "digits": ((0.02, 0.94), (0.05, 0.93), (0.1, 0.84), (0.15, 0.70), (0.2, 0.47)),
}
"""(sigma, median of what the surrogate says of 3,000 random embedded networks that are trained and
tested at that sigma, converters of 32 levels on 128 word lines)."""
CHANCE = 0.1
"""Accuracy of guessing one of ten classes."""
ACCURACY_SHARES = (0.75, 0.9, 1.05)
"""A least accuracy lies so far from chance to the typical one."""
LIMITED_ENERGY = 0.25
"""Share of scenarios with a least accuracy, where the objective does not need one."""


class Platform(NamedTuple):
    """The part of the hardware that no space frees."""

    device: Device
    adc_levels: AdcLevels
    node_nm: Node


PAPER = Platform("rram", 32, 22)


def scenarios(
    split: Split, count: int, space: Space, *, first: int = 0, bench_sigmas: bool = False
) -> list[Scenario]:
    """Return `count` scenarios of a split; a longer list begins with the shorter one.

    Args:
        split: which part.
        count: how many.
        space: where the designs are from; the fields it frees are left open.
        first: number of the first one, for parts of a long list.
        bench_sigmas: draw sigma from the accuracy benchmark's levels alone, so that real
            trainings answer for it; for `train` only. The cell bits of a space that frees them
            move sigma off those levels.

    Raises:
        UsageError: `bench_sigmas` outside `train`.
    """
    if bench_sigmas and split != "train":
        raise UsageError(f"bench_sigmas is for the split train: no level of it is in {split}")
    return [_scenario(split, index, space, bench_sigmas) for index in range(first, first + count)]


@cache
def platforms() -> dict[Platform, Part]:
    """Return where each platform belongs: of a device's twelve, two and two are held out."""
    parts: dict[Platform, Part] = {}
    for device in get_args(Device):
        others = product(get_args(AdcLevels), get_args(Node))
        own = [Platform(device, levels, node) for levels, node in others]
        order = _generator("platforms", device).permutation(len(own))
        shuffled = sorted((own[place] for place in order), key=lambda platform: platform != PAPER)
        parts |= dict(zip(shuffled, PARTS, strict=True))
    return parts


def sigmas(part: Part) -> tuple[float, ...]:
    """Return every sigma of a part of the split."""
    held = {name: {k for band in bands for k in band} for name, bands in SIGMA_BANDS.items()}
    free = set(SIGMA_RANGE).difference(*held.values())
    return tuple(k / 1000 for k in sorted(held.get(part, free)))


def _scenario(split: Split, index: int, space: Space, bench_sigmas: bool) -> Scenario:
    part: Part = "test" if split == "digits" else split
    dataset = "digits" if split == "digits" else "shapes"
    rng = _generator(part, index)
    workload = Workload(dataset=dataset)
    hardware = _hardware(rng, part, space)
    known = [s for s in sigmas(part) if s in BENCH_SIGMAS or not bench_sigmas]
    sigma = float(rng.choice([s for s in known if _stays_in(part, s, space)]))
    costs = typical_costs(space, hardware, workload)
    objective = costs.objectives[index % len(OBJECTIVES)]
    return Scenario.model_validate(
        {
            "name": f"{space.name}-{split}-{index:04d}",
            "workload": workload,
            "hardware": hardware,
            "variation": _variation(sigma, space),
            "objective": objective,
            "limits": {
                "area_um2": _area_limit(rng, costs),
                "accuracy": _least_accuracy(rng, objective, dataset, sigma),
            },
        }
    )


def _hardware(rng: np.random.Generator, part: Part, space: Space) -> FixedHardware:
    """Draw settings until one gives enough designs a floorplan."""
    usable = [
        platform
        for platform, owner in platforms().items()
        if owner == part
        and ("cell_bits" not in space.freed or len(cell_bits_of(platform.device)) > 1)
    ]
    while True:
        fields: dict[str, Any] = usable[rng.integers(len(usable))]._asdict()
        for name, kind in (("subarray", Subarray), ("cell_bits", CellBits), ("mapping", Mapping)):
            fields[name] = get_args(kind)[rng.integers(len(get_args(kind)))]
        if fields["cell_bits"] not in cell_bits_of(fields["device"]):
            fields["cell_bits"] = 1
        fixed = {name: value for name, value in fields.items() if name not in space.freed}
        hardware = FixedHardware.model_validate(fixed)
        if typical_costs(space, hardware, Workload()).floorplan_share >= LEAST_FLOORPLANS:
            return hardware


def _stays_in(part: Part, sigma: float, space: Space) -> bool:
    """Whether no number of cell bits, where they are free, takes sigma into another part's band."""
    if "cell_bits" not in space.freed:
        return True
    lower = {round(1000 * sigma * effective_sigma(1, b) / effective_sigma(1, 4)) for b in (1, 2)}
    others = [bands for name, bands in SIGMA_BANDS.items() if name != part]
    return not any(k in band for k in lower for bands in others for band in bands)


def _variation(sigma: float, space: Space) -> dict[str, float]:
    """Return the variation of a weight; where cell bits are free, of a cell: they act through it.

    The cell's is the one that gives `sigma` with four bits in a cell, the most that `sigma` gets.
    """
    if "cell_bits" in space.freed:
        return {"cell_sigma": round(sigma / effective_sigma(1.0, 4), 5)}
    return {"sigma": sigma}


def _area_limit(rng: np.random.Generator, costs: TypicalCosts) -> float | None:
    share = float(rng.choice(AREA_SHARES))
    return None if share == 1 else costs.area_limit(share)


def _least_accuracy(
    rng: np.random.Generator, objective: Objective, dataset: str, sigma: float
) -> float | None:
    share, limited = rng.choice(ACCURACY_SHARES), rng.random() < LIMITED_ENERGY
    if not (limited or objective.needs_accuracy_limit):
        return None
    levels, typical = zip(*TYPICAL_ACCURACY[dataset], strict=True)
    return round(float(CHANCE + share * (np.interp(sigma, levels, typical) - CHANCE)), 2)


def _generator(*words: str | int) -> np.random.Generator:
    """Random numbers that depend on the words alone."""
    numbers = [n for word in words for n in (word.encode() if isinstance(word, str) else [word])]
    return np.random.default_rng(np.random.SeedSequence([SEED, *numbers]))
