"""Best-so-far curves, normalised regret, and intervals over scenarios and seeds.

The measures are those of rliable (Agarwal et al., NeurIPS 2021, which is archived): interquartile
means with a stratified bootstrap, here with whole scenarios resampled, then seeds within them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cim_sim.intervals import ENDS, Interval, bootstrap_groups
from cim_sim.types import Floats, Indices
from search.record.trace import Trial

__all__ = [
    "Interval",
    "RegretEnds",
    "Resampling",
    "best_so_far",
    "bootstrap_groups",
    "first_at_most",
    "holm",
    "iqm",
    "mean",
    "normalised_regret",
    "rewards_of",
]

LEAST = 8, 3
"""Scenarios and seeds below which no interval is given: it would hold too rarely what it should."""
RESAMPLES = 5000
Statistic = Callable[[Floats], Floats]
"""Of the last axis."""


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


def mean(values: Floats) -> Floats:
    """Mean over the last axis."""
    return np.asarray(values.mean(axis=-1))


def iqm(values: Floats) -> Floats:
    """Mean of the middle half, over the last axis."""
    from scipy.stats import trim_mean

    return np.asarray(trim_mean(values, 0.25, axis=-1))


def holm(chances: Sequence[float]) -> list[float]:
    """Correct p-values for there being several claims (Holm 1979), in the order given."""
    order = np.argsort(chances, kind="stable")
    factors = np.arange(len(chances), 0, -1)
    steps = np.minimum(np.maximum.accumulate(np.asarray(chances)[order] * factors), 1.0)
    return [float(steps[place]) for place in np.argsort(order, kind="stable")]


def first_at_most(curves: Floats, levels: ArrayLike) -> Floats:
    """First episode, from 1 on, at which curves, [..., episodes], are no higher; inf: never."""
    reached = curves <= np.asarray(levels)[..., None] + 1e-12
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1) + 1.0, np.inf)


class Resampling:
    """The same draws of scenarios, then of seeds within them, for all that is compared.

    What stood in one cell, a scenario and a seed, stays together: differences are paired, and so
    are whole curves. With few scenarios a percentile interval is too narrow; here its ends lie
    where Student's t and the n / (n - 1) of a variance put them (Hesterberg 2015, section 5.3),
    and at least as far out as t with the resampled error. At 8 scenarios x 3 seeds it holds the
    true mean in .95 or more of normal samples; in .90 of exponential ones and .87 of the most
    lopsided that were tried, if seeds make no difference there.
    """

    def __init__(self, scenarios: int, seeds: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        chosen = rng.integers(scenarios, size=(RESAMPLES, scenarios, 1))
        within = rng.integers(seeds, size=(RESAMPLES, scenarios, seeds))
        self.scenarios, self.cells = scenarios, scenarios * seeds
        self.bounded = scenarios >= LEAST[0] and seeds >= LEAST[1]
        self._rows: Indices = (chosen * seeds + within).reshape(RESAMPLES, -1)
        self._weights = np.zeros((RESAMPLES, self.cells))
        np.add.at(self._weights, (np.arange(RESAMPLES)[:, None], self._rows), 1 / self.cells)

    def interval(self, values: Floats, statistic: Statistic = mean) -> Interval:
        """Interval of a statistic of `values`, [cells]; no bounds when there are too few cells."""
        resampled = self.means(values) if statistic is mean else statistic(values[self._rows])
        return self.bounds(float(statistic(values)), resampled)

    def means(self, values: Floats) -> Floats:
        """Mean over the cells in each draw, [draws, ...], of [cells, ...]."""
        return np.asarray(self._weights @ values)

    def bounds(self, whole: float, resampled: Floats) -> Interval:
        """Interval around `whole` from the same statistic of each draw, [draws]."""
        if not self.bounded:
            return Interval(mean=whole, n=self.cells)
        low, high = self._around(whole, resampled).tolist()
        return Interval(mean=whole, low=low, high=high, n=self.cells)

    def band(self, values: Floats) -> Floats | None:
        """Interval of the mean of each column, [2, columns], of [cells, columns].

        None: there are too few cells.
        """
        return self._around(values.mean(axis=0), self.means(values)) if self.bounded else None

    def _around(self, whole: ArrayLike, resampled: Floats) -> Floats:
        """Both ends, [2, ...], around means of [...], from those of each draw, [draws, ...]."""
        low, high = self.ends(resampled)
        reach = self._reach * resampled.std(axis=0)
        return np.stack([np.minimum(low, whole - reach), np.maximum(high, whole + reach)])

    def ends(self, resampled: Floats) -> Floats:
        """Both ends, [2, ...], over the first axis; an end is a value that was drawn."""
        from scipy.stats import norm

        levels = norm.cdf([-self._reach, self._reach])
        return np.asarray(np.quantile(resampled, levels, axis=0, method="nearest"))

    def chance(self, differences: Floats) -> float:
        """p-value of a mean of paired differences, [cells], against zero: t by resampled error."""
        from scipy.stats import t

        error = float(self.means(differences).std()) * self._widening
        if error == 0.0:
            return float(differences.mean() == 0)
        return float(2 * t.sf(abs(differences.mean()) / error, self.scenarios - 1))

    @property
    def _widening(self) -> float:
        """A variance of n things is drawn n / (n - 1) times too small."""
        return float(np.sqrt(self.scenarios / (self.scenarios - 1)))

    @property
    def _reach(self) -> float:
        """Ends of an interval in units of the resampled error."""
        from scipy.stats import t

        return float(t.ppf(ENDS[1], self.scenarios - 1)) * self._widening
