"""What runs through the arrays: how many inputs are 1, and which digits the cells hold.

NeuroSim reads traces; this model takes the mean statistics of the synthetic ones behind the
reference data (`data/README.md`), which stand for a trained 8-bit network: weights N(0, 0.30)
clipped to [-1, 127/128]; inputs of the first layer uniform on 0..127, of all others
floor(128 relu(N(0, 0.35))), at most 127. All of it follows in closed form.
"""

from functools import cache
from math import erf, sqrt

import numpy as np

from cim_sim.cost.layers import INPUT_BITS, Layers
from cim_sim.types import Floats

WEIGHT_SIGMA = 0.30
INPUT_SIGMA = 0.35
"""Of weights, and of inputs before the ReLU, both on a scale that ends at 1."""
VALUE_BITS = INPUT_BITS - 1
LEVELS = 1 << VALUE_BITS
"""Input codes 0..127: seven bits beside the sign."""
IMAGE_SHARE = 0.5
"""Share of ones on each plane of a uniform code."""


def synthetic_activity(layers: Layers) -> Floats:
    """Share of ones on each value plane, [7, layers, designs], most significant first.

    The sign plane is not among them: it is 0 after ReLU. The zero border of 'same' windows lowers
    the shares by the layer's coverage.
    """
    shares = np.empty((VALUE_BITS, *layers.side.shape))
    shares[:, 0] = IMAGE_SHARE
    shares[:, 1:] = np.array(relu_plane_shares())[:, None, None]
    return np.asarray(shares * layers.coverage)


@cache
def relu_plane_shares() -> tuple[float, ...]:
    """Share of ones on each value plane of a rectified normal code, most significant first."""
    edges = [_normal_cdf(code / LEVELS / INPUT_SIGMA) for code in range(1, LEVELS)]
    mass = np.diff([0.0, *edges, 1.0])
    codes = np.arange(LEVELS)
    return tuple(float(mass[codes >> bit & 1 == 1].sum()) for bit in reversed(range(VALUE_BITS)))


@cache
def digit_shares(cell_bits: int) -> Floats:
    """Probability of every digit in every cell of a weight, [cells, 2^cell_bits].

    Offset binary: code = round(128 w + 128), most significant digit first.
    """
    edges = [_normal_cdf((code - 128.5) / 128 / WEIGHT_SIGMA) for code in range(1, 256)]
    mass = np.diff([0.0, *edges, 1.0])
    codes = np.arange(256)
    digits = 1 << cell_bits
    shifts = range(8 - cell_bits, -1, -cell_bits)
    return np.array(
        [[mass[(codes >> s) % digits == digit].sum() for digit in range(digits)] for s in shifts]
    )


def _normal_cdf(value: float) -> float:
    return 0.5 * (1 + erf(value / sqrt(2)))
