"""Best-so-far curves, normalised regret, and bootstrap intervals that say when they are open."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cim_sim.config import Config
from cim_sim.types import Floats, Indices
from search.record.trace import Trial

LEVEL = 0.95
"""Share of the resampled means that an interval holds."""
RESAMPLES = 10_000


class Interval(Config):
    """A mean and the percentile bootstrap interval around it."""

    mean: float
    low: float | None = None
    """None, like `high`, when there is a single value: one run says nothing about the next."""
    high: float | None = None
    n: int
    """How many values, or groups of them, are behind the mean."""

    def __format__(self, spec: str) -> str:
        bounds = "" if self.low is None else f" [{self.low:{spec}}, {self.high:{spec}}]"
        return f"{self.mean:{spec}}{bounds}"

    def rounded(self, decimals: int) -> "Interval":
        """Return it with so many decimals, for a file that people read."""
        ends = {"mean": self.mean, "low": self.low, "high": self.high}
        short = {name: end if end is None else round(end, decimals) for name, end in ends.items()}
        return self.model_copy(update=short)

    @property
    def contains_zero(self) -> bool | None:
        """Whether the sign of the mean is open; None without bounds."""
        return None if self.low is None or self.high is None else self.low <= 0 <= self.high


class RegretEnds(NamedTuple):
    """The two ends of normalised regret, and where the better one comes from."""

    optimum: float
    """Best known reward of the scenario: regret 0."""
    median_random: float
    """Median reward of feasible random designs: regret 1."""
    source: str


def rewards_of(trials: Sequence[Trial]) -> Floats:
    """Reward of each trial, [trials]; NaN where it is infeasible or failed."""
    return np.array([trial.score if trial.feasible else np.nan for trial in trials])


def best_so_far(rewards: ArrayLike) -> Floats:
    """Best reward after each episode, [episodes]; NaN until something is feasible."""
    best: Floats = np.fmax.accumulate(np.asarray(rewards, dtype=np.float64))
    return best


def normalised_regret(best: ArrayLike, ends: RegretEnds) -> Floats:
    """(optimum - best) / (optimum - median of feasible random designs), clipped to [0, 1].

    Args:
        best: rewards of any shape; NaN where nothing was feasible yet, whose regret is 1.
        ends: of the scenario.

    Raises:
        ValueError: the optimum is no better than the median.
    """
    optimum, median, _ = ends
    if optimum <= median:
        raise ValueError(f"optimum {optimum} is not above the median {median} of random")
    regret = (optimum - np.asarray(best, dtype=np.float64)) / (optimum - median)
    return np.clip(np.nan_to_num(regret, nan=1.0), 0.0, 1.0)


def bootstrap(values: ArrayLike, generator: np.random.Generator) -> Interval:
    """Interval of the mean of `values`, [repeats] or [groups, repeats].

    Groups (scenarios) are resampled, then the repeats (seeds) within each: what was measured
    together stays together. Give differences of two arms for a paired comparison.
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    mean, (groups, repeats) = float(table.mean()), table.shape
    if table.size < 2:
        return Interval(mean=mean, n=1)
    chosen = generator.integers(groups, size=(RESAMPLES, groups, 1))
    within = generator.integers(repeats, size=(RESAMPLES, groups, repeats))
    return _interval(mean, table[chosen, within].mean(axis=(1, 2)), table.size)


def bootstrap_groups(
    statistic: Callable[[Indices], float],
    groups: ArrayLike,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of a statistic of rows, where whole groups of rows are resampled.

    Args:
        statistic: of row numbers; NaN where it is not defined, and such draws are left out.
        groups: label of each row's group, [rows].
        generator: draws the groups.
        resamples: how many draws.
    """
    labels = np.unique(np.asarray(groups), return_inverse=True)[1]
    members = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    mean = statistic(np.arange(len(labels)))
    if len(members) < 2:
        return Interval(mean=mean, n=1)
    draws = generator.integers(len(members), size=(resamples, len(members)))
    values = [statistic(np.concatenate([members[label] for label in draw])) for draw in draws]
    return _interval(mean, np.array(values)[~np.isnan(values)], len(members))


def _interval(mean: float, resampled: Floats, n: int) -> Interval:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(mean=mean, low=float(low), high=float(high), n=n)
