"""Best-so-far curves and normalised regret; intervals are those of `cim_sim.intervals`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cim_sim.intervals import Interval, bootstrap, bootstrap_groups
from cim_sim.types import Floats
from search.record.trace import Trial

__all__ = [
    "Interval",
    "RegretEnds",
    "best_so_far",
    "bootstrap",
    "bootstrap_groups",
    "normalised_regret",
    "rewards_of",
]


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
