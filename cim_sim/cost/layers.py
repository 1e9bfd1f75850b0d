"""Shapes of a batch as the cost model sees them: whole numbers in float64, [layers, designs].

Layers come first, so that what belongs to a whole design, [designs], broadcasts along long rows.
Quotients of whole numbers below 2^53 round up and down exactly in float64, and quicker than in
integers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from cim_sim.hardware import Hardware
from cim_sim.types import Bools, Floats
from cim_sim.workload import Stack

INPUT_BITS = 8
"""Bit-vectors of one input vector: a sign plane, always 0 after ReLU, and seven bits."""


@dataclass(frozen=True)
class Layers:
    """Shapes of a batch, each [layers, designs]."""

    side: Floats
    in_channels: Floats
    kernel: Floats
    out_channels: Floats
    pooled: Bools
    rows: Floats
    """Word lines that the unrolled kernels take: Cin K^2."""
    columns: Floats
    """Bit lines: Cout times the cells of one weight."""
    vectors: Floats
    """Input vectors (output pixels) that the layer is counted with."""
    windowless: Bools
    """Larger than its map, of which the stock count finds no window."""
    coverage: Floats
    """Mean share of a kernel window that lies on the map and not on its zero border."""

    @property
    def bit_vectors(self) -> Floats:
        """Inputs are applied one bit at a time."""
        return INPUT_BITS * self.vectors


def cells_per_weight(hardware: Hardware) -> int:
    """Memory cells that hold one 8-bit weight."""
    return -(-8 // hardware.cell_bits)


def layers_of(stack: Stack, hardware: Hardware) -> Layers:
    """Transpose a stack, unroll its kernels and count its input vectors.

    `pad: same` slides a kernel over every pixel, H^2 vectors, partly over the zero border;
    `stock` counts (H-K+1)^2 windows on the map, NeuroSim's rule.
    """
    side, cin, kernel, cout = (
        np.ascontiguousarray(array.T, dtype=np.float64)
        for array in (stack.side, stack.in_channels, stack.kernel, stack.out_channels)
    )
    same = hardware.pad == "same"
    reach = side if same else np.maximum(side - kernel + 1, 1)
    return Layers(
        side=side,
        in_channels=cin,
        kernel=kernel,
        out_channels=cout,
        pooled=np.ascontiguousarray(stack.pooled.T) > 0,
        rows=cin * kernel**2,
        columns=cout * cells_per_weight(hardware),
        vectors=reach**2,
        windowless=(kernel > side) & (not same),
        coverage=_coverage(side, kernel) if same else np.ones_like(side),
    )


def remainder(total: Floats, size: Floats | float) -> tuple[Floats, Floats]:
    """Cut `total` into full blocks of `size`: how many, and what is left over."""
    full = np.floor(total / size)
    return full, total - full * size


def in_order(parts: Iterable[Floats]) -> Floats:
    """Add arrays one after the other, so that a design's sum does not depend on its batch.

    NumPy's own sum along an axis takes another order where a batch holds one design.
    """
    return reduce(np.add, parts)


def _coverage(side: Floats, kernel: Floats) -> Floats:
    """Share of taps that fall on a `side` x `side` map, averaged over all 'same' windows.

    A tap at offset t from the centre meets max(0, side - |t|) of `side` positions; odd kernels
    have offsets -h..h with h = (K-1)/2, of which those beyond the map never meet it.
    """
    half = np.floor(kernel / 2)
    reached = np.minimum(half, side - 1)
    even = np.where(kernel % 2 == 0, np.maximum(side - half, 0), 0)
    hits = side + 2 * (reached * side - reached * (reached + 1) / 2) - even
    return np.asarray(np.square(hits / (side * kernel)))
