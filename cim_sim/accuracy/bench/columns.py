"""The table's columns: a network in them, its family, and pairs unlike in kernels alone."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cim_sim.space import ConvChoice
from cim_sim.types import Ints

if TYPE_CHECKING:
    import pandas as pd

NETWORK = [f"{what}_{layer}" for layer in range(1, 7) for what in ("channels", "kernel")]
CHANNELS, KERNELS = NETWORK[::2], NETWORK[1::2]


class KernelPair(NamedTuple):
    """Two rows, of which `small` has no kernel larger than `large` has there."""

    small: int
    large: int
    changed: Ints
    """Layers whose kernels differ, counted from 0."""


def named(layers: Sequence[ConvChoice]) -> dict[str, int]:
    """Return a network under the names of its columns."""
    return dict(zip(NETWORK, chain.from_iterable(layers), strict=True))


def layers_of(row: Mapping[str, Any]) -> tuple[ConvChoice, ...]:
    """Return the network of a row."""
    pairs = zip(CHANNELS, KERNELS, strict=True)
    return tuple(ConvChoice(int(row[channels]), int(row[kernel])) for channels, kernel in pairs)


def families(rows: "pd.DataFrame") -> NDArray[np.str_]:
    """Name the networks of equal channels, which kernel swaps alone tell apart, [rows]."""
    return rows[CHANNELS].astype(str).agg("-".join, axis=1).to_numpy(str)


def kernel_pairs(kernels: Ints) -> Iterator[KernelPair]:
    """Yield the pairs of `kernels` [networks, 6] of which one grew somewhere and shrank nowhere."""
    for a, b in combinations(range(len(kernels)), 2):
        growth = kernels[b] - kernels[a]
        if growth.any() and not growth.min() < 0 < growth.max():
            small, large = (a, b) if growth.max() > 0 else (b, a)
            yield KernelPair(small, large, np.flatnonzero(growth))
