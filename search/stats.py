"""Best-so-far curves, normalised regret, and bootstrap intervals that admit what they contain."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cim_sim.types import Floats
from search.record.trace import Trial

LEVEL = 0.95
"""Of every interval."""
RESAMPLES = 10_000


class Interval(NamedTuple):
    """A mean and the percentile bootstrap interval around it."""

    mean: float
    low: float
    high: float

    @property
    def contains_zero(self) -> bool:
        """Whether the sign of the mean is open."""
        return self.low <= 0 <= self.high


def best_so_far(trials: Sequence[Trial], episodes: int) -> Floats:
    """Best reward after each episode, [episodes]; NaN until something is feasible.

    A run that ended early keeps its best.
    """
    rewards = [trial.score if trial.feasible else -np.inf for trial in trials[:episodes]]
    rewards += [-np.inf] * (episodes - len(rewards))
    best = np.maximum.accumulate(np.array(rewards, dtype=np.float64))
    return np.where(np.isfinite(best), best, np.nan)


def normalised_regret(best: ArrayLike, optimum: float, median_random: float) -> Floats:
    """(optimum - best) / (optimum - median of feasible random designs), clipped to [0, 1].

    Args:
        best: rewards of any shape; NaN where nothing was feasible yet, whose regret is 1.
        optimum: best known reward of the scenario.
        median_random: median reward of feasible random designs.

    Raises:
        ValueError: the optimum is no better than the median.
    """
    if optimum <= median_random:
        raise ValueError(f"optimum {optimum} is not above the median {median_random} of random")
    regret = (optimum - np.asarray(best, dtype=np.float64)) / (optimum - median_random)
    return np.clip(np.nan_to_num(regret, nan=1.0), 0.0, 1.0)


def bootstrap(values: ArrayLike, generator: np.random.Generator) -> Interval | None:
    """Interval of the mean of `values`, [repeats] or [groups, repeats].

    Groups (scenarios) are resampled, then the repeats (seeds) within each: what was measured
    together stays together. Give differences of two arms for a paired comparison.

    Returns:
        None when there is a single value: one run says nothing about the next.
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if table.size < 2:
        return None
    groups, repeats = table.shape
    chosen = generator.integers(groups, size=(RESAMPLES, groups, 1))
    within = generator.integers(repeats, size=(RESAMPLES, groups, repeats))
    means = table[chosen, within].mean(axis=(1, 2))
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(table.mean()), float(low), float(high))
