"""A mean and how sure it is: resampled, or by Student's t over clusters."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cim_sim.config import Config
from cim_sim.types import Floats, Indices

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.95
"""Share of the resampled means that an interval holds."""
ENDS = (1 - LEVEL) / 2, (1 + LEVEL) / 2
RESAMPLES = 10_000


class Interval(Config):
    """A mean and the interval around it."""

    mean: float
    low: float | None = None
    """None, like `high`, when there is a single value: one run says nothing about the next."""
    high: float | None = None
    n: int
    """How many values, or groups of them, are behind the mean."""

    def __format__(self, spec: str) -> str:
        bounds = "" if self.low is None else f" [{self.low:{spec}}, {self.high:{spec}}]"
        return f"{self.mean:{spec}}{bounds}"

    def __neg__(self) -> "Interval":
        low, high = (None if end is None else -end for end in (self.high, self.low))
        return Interval(mean=-self.mean, low=low, high=high, n=self.n)

    def rounded(self, decimals: int) -> "Interval":
        """Return it with so many decimals, for a file that people read."""
        ends = {"mean": self.mean, "low": self.low, "high": self.high}
        short = {name: end if end is None else round(end, decimals) for name, end in ends.items()}
        return self.model_copy(update=short)

    @property
    def contains_zero(self) -> bool | None:
        """Whether the sign of the mean is open; None without bounds."""
        return None if self.low is None or self.high is None else self.low <= 0 <= self.high


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
    return _percentiles(mean, np.array(values)[~np.isnan(values)], len(members))


def clustered(values: "pd.Series[float]", clusters: "pd.Series[str]") -> Interval:
    """Interval of the mean of `values` that counts clusters, not values; two clusters or more.

    Cluster-robust standard error and Student's t with one degree of freedom less than there are
    clusters (Cameron & Miller 2015): a percentile bootstrap of few clusters is too narrow.
    """
    from scipy.stats import t

    mean = float(values.mean())
    strays = (values - mean).groupby(clusters).sum()
    count = len(strays)
    error = np.sqrt(count / (count - 1) * (strays**2).sum()) / len(values)
    reach = float(error * t.ppf(ENDS[1], count - 1))
    return Interval(mean=mean, low=mean - reach, high=mean + reach, n=count)


def _percentiles(mean: float, resampled: Floats, n: int) -> Interval:
    low, high = np.quantile(resampled, ENDS)
    return Interval(mean=mean, low=float(low), high=float(high), n=n)
