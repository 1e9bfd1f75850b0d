"""What is believed of accuracy, and what a design then promises: all other numbers are exact."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from cim_sim.scenario import Scenario
from cim_sim.types import Floats, Indices
from search.landscape import Prices, networks, sigmas
from search.proposal import Problem

UNDERFLOW = -25.0
"""Below so many standard deviations an expected improvement vanishes in floating point."""


class Belief(NamedTuple):
    """Accuracy of a population as a normal distribution, both [designs]."""

    mean: Floats
    std: Floats


def log_improvement(
    scenario: Scenario, price: Prices, believed: Belief, best: float | None
) -> Floats:
    """Log of the expected improvement of the reward, [designs].

    With accuracy a ~ N(mean, std^2), costs known, and only a > least counting:
    E[(a - target) 1(a > least)] = (mean - target) Phi(z) + std phi(z) with
    z = (mean - least) / std. While nothing is feasible: log Phi(z).

    Args:
        scenario: objective and limits.
        price: of the designs.
        believed: of the same.
        best: highest reward so far; None: nothing is feasible yet.
    """
    from scipy.stats import norm

    mean, std = believed
    rest = scenario.objective.reward(np.zeros(len(mean)), price)
    target = np.full(len(mean), -np.inf) if best is None else best - rest
    z = (mean - np.maximum(target, scenario.limits.accuracy_bar)) / std
    if best is None:
        return np.asarray(norm.logcdf(z))
    gain = (mean - target) * norm.cdf(z) + std * norm.pdf(z)
    return np.where(z > UNDERFLOW, np.log(np.maximum(gain, 1e-300)), -(z**2) / 2)


def features(problem: Problem, population: Indices) -> Floats:
    """Return what accuracy may depend on, [designs, features], each about one wide.

    Log channels, kernels and, where cell bits are free, the variation that acts.
    """
    scenario, space = problem.scenario, problem.chip.space
    channels, kernels = networks(space, population)
    columns = [np.log2(channels) / 2, kernels / 4]
    if "cell_bits" in space.freed:
        columns.append(sigmas(scenario, space, population)[:, None] / 0.1)
    return np.hstack(columns)


class AccuracyModel:
    """Gaussian process over `features`.

    A linear trend, a smooth deviation from it (Matern 5/2), and the noise of one training.
    """

    def __init__(self, problem: Problem, refit_growth: float) -> None:
        self.problem, self.refit_growth = problem, refit_growth
        self._kernel: Any = None
        self._fitted_on = 0
        self._model: Any = None

    def fit(self, rows: Sequence[Indices], accuracies: Sequence[float]) -> None:
        """Fit accuracies; kernel parameters only when the data have grown enough."""
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import (
            ConstantKernel,
            DotProduct,
            Matern,
            WhiteKernel,
        )

        inputs = features(self.problem, np.array(rows))
        refit = len(rows) >= self.refit_growth * self._fitted_on
        if self._kernel is None:
            lengths = np.ones(inputs.shape[1])
            smooth = ConstantKernel(1.0) * Matern(lengths, (0.3, 100.0), nu=2.5)
            trend = ConstantKernel(1.0) * DotProduct(1.0)
            self._kernel = smooth + trend + WhiteKernel(0.01, (1e-5, 0.1))
        self._model = GaussianProcessRegressor(
            self._kernel, optimizer="fmin_l_bfgs_b" if refit else None, normalize_y=True
        )
        with _quiet():
            self._model.fit(inputs, np.array(accuracies))
        if refit:
            self._kernel, self._fitted_on = self._model.kernel_, len(rows)

    def predict(self, population: Indices) -> Belief:
        """Return what accuracy is expected, and how surely."""
        with _quiet():
            mean, std = self._model.predict(features(self.problem, population), return_std=True)
        return Belief(mean, np.maximum(std, 1e-9))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence scikit-learn where a kernel parameter sits on its bound: that is no fault here."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
