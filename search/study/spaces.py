"""The draw of spaces: which widths and kernels there are, and which hardware is free.

Training chooses among the widths of `embedded`, whole or in part, and frees hardware in part,
never a held-out cell. For the split `space` are left: wide spaces (that of `lcda`, width divisor
16), the widths of `codesign`, and the whole hardware grid. All lie in what the accuracy table
covers.
"""

from collections.abc import Sequence
from itertools import product
from typing import TypeVar, get_args

import numpy as np

from cim_sim.hardware import CellBits, Mapping, Subarray
from cim_sim.space import HardwareChoices, Space
from search.study.cut import HELD_CELLS, Cell

ChoiceT = TypeVar("ChoiceT")
Choices = dict[str, tuple[int | str, ...]]
"""Choices of each freed hardware field."""

EMBEDDED = Space(
    name="embedded",
    channels=(16, 24, 32, 48, 64, 96, 128),
    kernels=(1, 3, 5, 7),
    width_divisor=4,
)
"""As configs/spaces/embedded.yaml."""
WIDE = Space(name="lcda", channels=(32, 64, 128, 256, 512), kernels=(3, 5, 7), width_divisor=16)
"""As configs/spaces/lcda.yaml."""
GRID: Choices = {
    "subarray": get_args(Subarray),
    "cell_bits": get_args(CellBits),
    "mapping": get_args(Mapping),
}
"""All hardware that a space of the family frees; the rest decides platforms."""
CODESIGN = Space(
    name="codesign",
    channels=(24, 36, 48, 64),
    kernels=(1, 3, 5, 7),
    width_divisor=4,
    hardware=HardwareChoices.model_validate(GRID),
)
"""As configs/spaces/codesign.yaml."""

WHOLE = 0.35
"""Share of training tasks in `EMBEDDED` itself, whose networks the accuracy table has most of."""
FREES_HARDWARE = 0.35
"""Share of the other training tasks that may choose hardware."""
FEWEST_WIDTHS, FEWEST_KERNELS = 3, 2


def training_space(rng: np.random.Generator) -> Space:
    """Draw a space that training may see; those that fix their hardware come most often."""
    if rng.random() < WHOLE:
        return EMBEDDED
    return _part(EMBEDDED, rng, _freed(rng) if rng.random() < FREES_HARDWARE else {})


def fixed_space(rng: np.random.Generator) -> Space:
    """Draw a space that training may see and that frees no hardware."""
    return EMBEDDED if rng.random() < WHOLE else _part(EMBEDDED, rng, {})


def unseen_space(rng: np.random.Generator, index: int) -> Space:
    """Draw a space that no training task has; the paper's own and `codesign` come first."""
    if index < 2:
        return (WIDE, CODESIGN)[index]
    if index % 2 == 0:
        return _part(WIDE.model_copy(update={"kernels": EMBEDDED.kernels}), rng, {})
    return _part((CODESIGN, EMBEDDED)[index // 2 % 2], rng, GRID)


def _part(whole: Space, rng: np.random.Generator, freed: Choices) -> Space:
    """Draw a part of a space's widths and kernels; its name says all that it holds."""
    middle = whole.channels[len(whole.channels) // 2]
    channels = _some(whole.channels, FEWEST_WIDTHS, rng)
    while channels[-1] <= middle:  # too narrow for any least accuracy
        channels = _some(whole.channels, FEWEST_WIDTHS, rng)
    kernels = _some(whole.kernels, FEWEST_KERNELS, rng)
    words = [f"c{'.'.join(map(str, channels))}", f"k{''.join(map(str, kernels))}"]
    words += [f"{name}{'.'.join(map(str, choices))}" for name, choices in freed.items()]
    changes = {"name": "-".join(words), "channels": channels, "kernels": kernels}
    return Space.model_validate({**whole.model_dump(), **changes, "hardware": freed})


def _freed(rng: np.random.Generator) -> Choices:
    """Draw fields, and choices of each; what no hardware can complete for training is not drawn."""
    while True:
        names = [name for name in GRID if rng.random() < 0.5]
        drawn = {name: _some(GRID[name], 2, rng) for name in names}
        if drawn and _avoids_held_cells(drawn):
            return drawn


def _avoids_held_cells(drawn: Choices) -> bool:
    fixed = [name for name in Cell._fields if name not in drawn]
    for values in product(*(GRID[name] for name in fixed)):
        options = {**drawn, **{name: (value,) for name, value in zip(fixed, values, strict=True)}}
        if not set(product(*(options[name] for name in Cell._fields))) & HELD_CELLS:
            return True
    return False


def _some(choices: Sequence[ChoiceT], fewest: int, rng: np.random.Generator) -> tuple[ChoiceT, ...]:
    """Draw `fewest` or more of the choices, in their order."""
    count = int(rng.integers(fewest, len(choices) + 1))
    return tuple(choices[place] for place in sorted(rng.permutation(len(choices))[:count]))
