"""The regression behind the surrogate: a Gaussian process and boosted trees, averaged.

The process is smooth and knows where it saw nothing; trees never leave the range of what they saw
and find steps that the process smooths away; an optimiser must deceive both. What they earn shrinks
as the table grows: the check gives its error without them too (`rmse_without_trees`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from cim_sim.accuracy.surrogate.features import Inputs, features
from cim_sim.config import Config
from cim_sim.types import Floats

INDUCING = 700
"""Rows of the table that span the process; more change the third digit and cost time squared."""
JITTER = 1e-6
CHUNK = 8192
TREES = {"max_iter": 400, "learning_rate": 0.05, "max_leaf_nodes": 4, "min_samples_leaf": 10}
"""Small trees: each sees two or three features at once."""


class Scales(Config):
    """Hyperparameters of the process, in units of standardised features and targets."""

    length_scales: tuple[float, ...]
    signal: float
    noise: float
    """Variance of one row around the process: seed to seed, and what the features cannot see."""


@dataclass(frozen=True)
class Process:
    """A sparse Gaussian process (deterministic training conditional, Quinonero-Candela 2005).

    Its mean of the first target is averaged with that of the trees; its standard deviation stays.
    """

    centre: Floats
    scale: Floats
    points: Floats
    """[inducing, features], divided by the length scales."""
    weights: Floats
    """[inducing, targets]."""
    explained: Floats
    """[inducing, inducing]: the squared norm of kernel @ explained is what the data take from the
    prior variance."""
    signal: float
    target_centre: Floats
    target_scale: Floats
    trees: Any | None
    """Of the first target (HistGradientBoostingRegressor); None: the process alone."""

    def predict(self, inputs: Inputs, with_std: bool = True) -> tuple[Floats, Floats]:
        """Targets [N, targets], and the process's own std of the first target [N]."""
        with _one_thread():
            starts = range(0, len(inputs), CHUNK)
            parts = [self._chunk(inputs[at : at + CHUNK], with_std) for at in starts]
        means, stds = zip(*parts, strict=True)
        return np.concatenate(means), np.concatenate(stds)

    def _chunk(self, inputs: Inputs, with_std: bool) -> tuple[Floats, Floats]:
        rows = features(inputs)
        kernel = _kernel((rows - self.centre) / self.scale, self.points, self.signal)
        mean = kernel @ self.weights * self.target_scale + self.target_centre
        if self.trees is not None:
            mean[:, 0] = (mean[:, 0] + self.trees.predict(rows)) / 2
        if not with_std:
            return mean, np.zeros(len(mean))
        explained = np.square(kernel @ self.explained).sum(1)
        std = np.sqrt(np.maximum(self.signal - explained, 1e-6)) * self.target_scale[0]
        return mean, std


def condition(inputs: Inputs, targets: Floats, scales: Scales, seed: int = 0) -> Process:
    """Condition the process on rows of a table and grow the trees; `targets` [N, targets]."""
    with _one_thread():
        return _condition(features(inputs), targets, scales, seed)


def _condition(rows: Floats, targets: Floats, scales: Scales, seed: int) -> Process:
    centre, spread = rows.mean(0), rows.std(0)
    scale = np.where(spread == 0, 1, spread) * np.array(scales.length_scales)
    scaled = (rows - centre) / scale
    chosen = np.random.default_rng(seed).permutation(len(scaled))[:INDUCING]
    points = scaled[np.sort(chosen)]
    target_centre, target_scale = targets.mean(0), targets.std(0)
    answers = (targets - target_centre) / target_scale
    weights, explained = _posterior(points, scaled, answers, scales)
    return Process(
        centre=centre,
        scale=scale,
        points=points,
        weights=weights,
        explained=explained,
        signal=scales.signal,
        target_centre=target_centre,
        target_scale=target_scale,
        trees=_trees(rows, targets[:, 0], seed),
    )


def _posterior(
    points: Floats, rows: Floats, answers: Floats, scales: Scales
) -> tuple[Floats, Floats]:
    """Return `weights` and `explained`, along axes on which the points are independent.

    Inverting the kernel itself would leave six digits, fewer than make two searches equal.
    """
    prior = _kernel(points, points, scales.signal) + JITTER * np.eye(len(points))
    cross = _kernel(points, rows, scales.signal)
    white = np.linalg.inv(np.linalg.cholesky(prior))
    seen = white @ cross
    known, axes = np.linalg.eigh(seen @ seen.T / scales.noise)
    known = np.maximum(known, 0)
    axes = white.T @ axes
    weights = axes / (1 + known) @ (axes.T @ (cross @ answers)) / scales.noise
    return weights, axes * np.sqrt(known / (1 + known))


def _trees(rows: Floats, targets: Floats, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(**TREES, random_state=seed).fit(rows, targets)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread: sums are then taken in one order, and processes do not fight over cores."""
    with _libraries().limit(limits=1):
        yield


@cache
def _libraries() -> ThreadpoolController:
    """Find NumPy's and scikit-learn's threads, which takes milliseconds, once."""
    import sklearn.ensemble  # noqa: F401, so that its threads are among those that are found

    return ThreadpoolController()


def _kernel(left: Floats, right: Floats, signal: float) -> Floats:
    """Squared exponential kernel [left, right] of scaled features."""
    square = (left**2).sum(1)[:, None] + (right**2).sum(1)[None] - 2 * left @ right.T
    kernel: Floats = signal * np.exp(-0.5 * np.maximum(square, 0))
    return kernel
