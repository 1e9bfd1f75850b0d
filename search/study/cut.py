"""Where training ends: splits, platforms, bands of sigma, and hardware cells, cut by one seed.

What no training task has, fixed or as a free choice:

- *platforms* (device, ADC levels, node): of each device's twelve two are for validation and two
  for the tests. No space of the family frees them. The paper's platform is a test one;
- *effective sigmas* in bands; `BENCH_SIGMAS` are all in training;
- *cells* (mapping x subarray x cell bits) of `HELD_CELLS`. Rewards of the conventional mapping
  agree between all its cells; those of the novel one differ strongly, so that what was learnt of
  the others is no answer for these.
"""

from functools import cache
from itertools import product
from typing import Literal, NamedTuple, get_args

import numpy as np

from cim_sim.accuracy.bench.jobs import LEVELS
from cim_sim.config import UsageError
from cim_sim.hardware import AdcLevels, CellBits, Device, FixedHardware, Mapping, Subarray
from cim_sim.space import Space
from cim_sim.variation import effective_sigma

Split = Literal[
    "train",
    "validation",
    "near",
    "hardware",
    "space",
    "tight",
    "objective",
    "digits",
    "blind",
]
TESTS: tuple[Split, ...] = get_args(Split)[2:]
Part = Literal["train", "validation", "near"]
"""To which platforms and bands belong; those of near serve all tests."""
Node = Literal[22, 32, 45]

SEED = 0
"""Root of the split and of all its tasks."""

PARTS: tuple[Part, ...] = ("near",) * 2 + ("validation",) * 2 + ("train",) * 8
"""Where the twelve platforms of each device go, the first after shuffling first."""

SIGMA_RANGE = range(20, 201)
"""All sigmas, in thousandths."""
SIGMA_BANDS: dict[str, tuple[range, ...]] = {
    "validation": (range(36, 45), range(112, 121)),
    "near": (range(55, 66), range(80, 91), range(130, 141), range(170, 181)),
}
"""Held out; the rest is for training."""
BENCH_SIGMAS = tuple(level for level in LEVELS if level > 0)
"""Levels of variation at which the list of the accuracy benchmark trains."""


class Platform(NamedTuple):
    """The part of the hardware that no space frees."""

    device: Device
    adc_levels: AdcLevels
    node_nm: Node


PAPER = Platform("rram", 32, 22)


class Cell(NamedTuple):
    """What decides how a network lies on a chip."""

    mapping: Mapping
    subarray: Subarray
    cell_bits: CellBits


HELD_CELLS = {Cell("novel", rows, bits) for rows in (128, 256) for bits in get_args(CellBits)}
"""For the split `hardware`: training knows the novel mapping on subarrays of 64 alone. With fewer
cells held out, what was best on the others was nearly as good on these."""


@cache
def platforms() -> dict[Platform, Part]:
    """Return where each platform belongs: of a device's twelve, two and two are held out."""
    parts: dict[Platform, Part] = {}
    for device in get_args(Device):
        others = product(get_args(AdcLevels), get_args(Node))
        own = [Platform(device, levels, node) for levels, node in others]
        order = generator("platforms", device).permutation(len(own))
        shuffled = sorted((own[place] for place in order), key=lambda platform: platform != PAPER)
        parts |= dict(zip(shuffled, PARTS, strict=True))
    return parts


def sigmas(part: Part) -> tuple[float, ...]:
    """Return every sigma of a part of the split."""
    held = {name: {k for band in bands for k in band} for name, bands in SIGMA_BANDS.items()}
    free = set(SIGMA_RANGE).difference(*held.values())
    return tuple(k / 1000 for k in sorted(held.get(part, free)))


def part_of(split: Split) -> Part:
    """Return whose platforms and bands a split draws from."""
    return split if split in ("train", "validation") else "near"


def stays_in(part: Part, sigma: float, space: Space) -> bool:
    """Whether no number of cell bits, where they are free, takes sigma into another part's band."""
    if "cell_bits" not in space.freed:
        return True
    lower = {round(1000 * sigma * effective_sigma(1, b) / effective_sigma(1, 4)) for b in (1, 2)}
    others = [bands for name, bands in SIGMA_BANDS.items() if name != part]
    return not any(k in band for k in lower for bands in others for band in bands)


def cells(space: Space, hardware: FixedHardware) -> set[Cell]:
    """Return every cell that a design of this space may have on this hardware."""
    options = (getattr(space.hardware, name) or (getattr(hardware, name),) for name in Cell._fields)
    return {Cell(*values) for values in product(*options)}


def belongs(split: Split, space: Space, hardware: FixedHardware) -> bool:
    """Whether the cells are such as the split has; a space for the split `space` frees any."""
    held = cells(space, hardware) & HELD_CELLS
    if split == "hardware":
        return held == cells(space, hardware)
    return not held or (split == "space" and bool(space.freed))


def require_possible(split: Split, space: Space) -> None:
    """Raise UsageError unless some hardware makes this space one of the split."""
    fixed = [name for name in Cell._fields if name not in space.freed]
    choices = dict(zip(Cell._fields, (Mapping, Subarray, CellBits), strict=True))
    every = product(*(get_args(choices[name]) for name in fixed))
    settings = (dict(zip(fixed, values, strict=True)) for values in every)
    chips = [FixedHardware.model_validate(setting) for setting in settings]
    if not any(belongs(split, space, chip) for chip in chips):
        held = ", ".join(f"{m} {s}x{s} {b} bits" for m, s, b in sorted(HELD_CELLS))
        raise UsageError(
            f"space {space.name} cannot be had in split {split}: held out are the cells {held}"
        )
    if split == "blind" and space.freed:
        raise UsageError(f"a blind task frees no hardware, and space {space.name} does")


def generator(*words: str | int) -> np.random.Generator:
    """Return random numbers that depend on the words alone."""
    numbers = [n for word in words for n in (word.encode() if isinstance(word, str) else [word])]
    return np.random.default_rng(np.random.SeedSequence([SEED, *numbers]))
