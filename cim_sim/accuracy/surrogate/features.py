"""What the surrogate sees of a network, of its training and of its test."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from cim_sim.accuracy.query import Query
from cim_sim.types import Floats, Ints

CONVOLUTIONS = 6
STRIDES = np.array([1, 1, 2, 2, 4, 4])
"""Distance in image pixels between neighbours at the input of each convolution."""
SIDE = 16


@dataclass(frozen=True)
class Inputs:
    """A batch of N questions as arrays."""

    channels: Ints
    """[N, 6], of the network that is trained."""
    kernels: Ints
    """[N, 6]."""
    sigma: Floats
    """[N], tested variation relative to max|w|."""
    training_sigma: Floats
    """[N]."""
    digits: Floats
    """[N], 1 for the data set `digits`, 0 for `shapes`."""
    unclipped: Floats
    """[N], 1 where training and test leave the weights as they are."""
    adc_levels: Floats
    """[N], 0 for ideal conversion."""
    adc_rows: Floats
    """[N], word lines summed in one conversion; ignored where `adc_levels` is 0."""

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self.channels)

    def __getitem__(self, rows: "slice | Ints | NDArray[np.bool_]") -> "Inputs":
        """Return chosen questions."""
        return Inputs(*(getattr(self, field.name)[rows] for field in fields(self)))


def of_queries(queries: Sequence[Query]) -> Inputs:
    """Arrays of queries with six convolutions each."""
    pairs = np.array([query.layers for query in queries], np.int64).reshape(-1, CONVOLUTIONS, 2)
    adc = [(query.adc.levels, query.adc.rows) if query.adc else (0, 0) for query in queries]
    levels, rows = np.array(adc, float).reshape(-1, 2).T
    return Inputs(
        channels=pairs[:, :, 0],
        kernels=pairs[:, :, 1],
        sigma=np.array([query.sigma for query in queries]),
        training_sigma=np.array([query.training_sigma for query in queries]),
        digits=np.array([query.dataset == "digits" for query in queries], float),
        unclipped=np.array([query.recipe.clip_rms is None for query in queries], float),
        adc_levels=levels,
        adc_rows=rows,
    )


def features(inputs: Inputs) -> Floats:
    """One row of features for each question, [N, features]."""
    return np.hstack([_network(inputs.channels, inputs.kernels), _setting(inputs)])


def _network(channels: Ints, kernels: Ints) -> Floats:
    """Widths, kernels, fan-in, receptive field and size, mostly as logarithms to base 2."""
    width, kernel = np.log2(channels), np.log2(kernels)
    fan_in = np.log2(np.hstack([3 + 0 * channels[:, :1], channels[:, :-1]])) + 2 * kernel
    weights = fan_in + width
    macs = weights + 2 * np.log2(SIDE / STRIDES)
    reach = np.log2(1 + np.cumsum((kernels - 1) * STRIDES, axis=1))[:, 1::2]
    sums = [np.log2(np.exp2(weights).sum(1)), np.log2(np.exp2(macs).sum(1))]
    narrow = [width.min(1), width.mean(1), width[:, :4].min(1)]
    spatial = [(kernels[:, layers] > 1).sum(1) for layers in (slice(2), slice(2, 4), slice(4, 6))]
    totals = np.stack([*sums, *narrow, *spatial, fan_in.max(1), weights.min(1)], axis=1)
    return np.hstack([width, kernel, kernels == 1, fan_in[:, 1:], reach, totals])


def _setting(inputs: Inputs) -> Floats:
    """Variation, training noise, data set, clipping, and how coarse the ADC is."""
    ideal = inputs.adc_levels == 0
    step = np.where(ideal, 0, 16 / np.where(ideal, 1, inputs.adc_levels))
    rows = np.where(ideal, 0, np.log2(np.where(ideal, 128, inputs.adc_rows) / 128))
    sigma, training = inputs.sigma, inputs.training_sigma
    columns = [10 * sigma, 10 * training, 10 * np.maximum(sigma - training, 0)]
    return np.stack([*columns, inputs.digits, inputs.unclipped, step, rows * step], axis=1)
