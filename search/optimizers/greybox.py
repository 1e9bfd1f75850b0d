"""What an expert does with a free cost simulator: model accuracy alone, compute all the rest.

A Gaussian process learns accuracy from the designs evaluated in this run, and nothing else. The
exact cost model stands inside the acquisition: expected improvement of the reward, with energy,
latency, floorplan and area known and only accuracy uncertain. No episode goes to a design that is
infeasible for free, or to one tried before.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cim_sim.config import Config
from cim_sim.types import Count, Floats, Indices
from search.landscape import draw, neighbours, networks, prices, sigmas
from search.proposal import Problem, Proposal
from search.record.given import Given
from search.record.trace import Trial

UNDERFLOW = -25.0
"""Below so many standard deviations an expected improvement vanishes in floating point."""
POOLS = 20
"""Draws of a pool before greybox gives up finding a design that is feasible for free."""


class Settings(Config):
    """How the Gaussian process learns, and how the best acquisition is searched for."""

    n_startup_trials: Count = 10
    """Random designs that are feasible for free."""
    pool: Count = 2000
    """Random designs among which each proposal is looked for."""
    climbs: Count = 4
    """Candidates from which each round of local search starts."""
    rounds: Count = 3
    """Of local search: all neighbours of the best candidates."""
    refit_growth: Annotated[float, Field(ge=1)] = 1.1
    """Kernel parameters are estimated anew when the data have grown by this factor."""


class Greybox:
    """Expected improvement with exact costs and a Gaussian process for accuracy."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self.problem, self.settings = problem, settings
        self._prices = partial(prices, problem.scenario, problem.chip.space)
        self._tried: set[bytes] = set()
        self._rows: list[Indices] = []
        """Designs whose accuracy is known."""
        self._accuracies: list[float] = []
        self._best: float | None = None
        """Highest reward so far."""
        self._model = AccuracyModel(problem, settings.refit_growth)
        self._step = 0

    def suggest(self, count: int) -> list[Proposal]:
        """Propose the designs that promise most; within a batch, the mean is believed."""
        believed: list[tuple[Indices, float]] = []
        for _ in range(count):
            rng = self.problem.generator("greybox", self._step)
            row, mean = self._choose(rng, believed)
            believed.append((row, mean))
            self._tried.add(row.tobytes())
            self._step += 1
        return [
            Proposal(design=self.problem.chip.space.decode(row.tolist())) for row, _ in believed
        ]

    def update(self, trials: Sequence[Trial]) -> None:
        """Learn accuracies, also of designs that miss the least accuracy."""
        for trial in trials:
            if trial.design is None or trial.evaluation is None:
                continue
            if trial.evaluation.accuracy is not None:
                self._rows.append(np.array(self.problem.chip.space.encode(trial.design)))
                self._accuracies.append(trial.evaluation.accuracy.mean)
            if trial.evaluation.reward is not None:
                self._best = max(trial.evaluation.reward, self._best or -np.inf)

    def observe(self, trials: Sequence[Trial]) -> None:
        """Learn from designs that somebody else proposed; they count as tried."""
        designs = [trial.design for trial in trials if trial.design and trial.evaluation]
        rows = [np.array(self.problem.chip.space.encode(design)) for design in designs]
        self._tried |= {row.tobytes() for row in rows}
        self.update(trials)

    def _choose(
        self, rng: np.random.Generator, believed: Sequence[tuple[Indices, float]]
    ) -> tuple[Indices, float]:
        """Return a design and its expected accuracy."""
        pool = self._pool(rng)
        if len(self._rows) < self.settings.n_startup_trials:
            return pool[0], 0.0  # the first in random order
        rows = [*self._rows, *(row for row, _ in believed)]
        self._model.fit(rows, [*self._accuracies, *(mean for _, mean in believed)])
        return self._climb(np.vstack([pool, *self._near_the_best()]))

    def _pool(self, rng: np.random.Generator) -> Indices:
        """Draw designs that are new and feasible for free; where there are hardly any, any."""
        for _ in range(POOLS):
            pool = draw(self.problem.chip.space, self.settings.pool, rng)
            free = self._untried(pool) & self._prices(pool).allowed
            if free.any():
                allowed: Indices = pool[free]
                return allowed
        return pool

    def _climb(self, candidates: Indices) -> tuple[Indices, float]:
        """Search locally from the most promising candidates, a few rounds."""
        values = self._acquisition(candidates)
        for _ in range(self.settings.rounds):
            starts = candidates[np.argsort(-values, kind="stable")[: self.settings.climbs]]
            near = np.vstack([neighbours(self.problem.chip.space, row) for row in starts])
            candidates = np.vstack([starts, near])
            values = self._acquisition(candidates)
        best = candidates[np.argmax(values)]
        return best, float(self._model.predict(best[None])[0][0])

    def _acquisition(self, population: Indices) -> Floats:
        """Log of the expected improvement of the reward, [designs]; -inf where out of question.

        With accuracy a ~ N(mean, std^2), costs known, and only a > least counting:
        E[(a - target) 1(a > least)] = (mean - target) Phi(z) + std phi(z) with
        z = (mean - least) / std. While nothing is feasible: log Phi(z).
        """
        from scipy.stats import norm

        price = self._prices(population)
        mean, std = self._model.predict(population)
        objective, limits = self.problem.scenario.objective, self.problem.scenario.limits
        rest = objective.reward(np.zeros(len(population)), price)
        target = np.full(len(population), -np.inf) if self._best is None else self._best - rest
        z = (mean - np.maximum(target, limits.accuracy_bar)) / std
        if self._best is None:
            value = norm.logcdf(z)
        else:
            gain = (mean - target) * norm.cdf(z) + std * norm.pdf(z)
            value = np.where(z > UNDERFLOW, np.log(np.maximum(gain, 1e-300)), -(z**2) / 2)
        return np.where(price.allowed & self._untried(population), value, -np.inf)

    def _untried(self, population: Indices) -> Any:
        return np.array([row.tobytes() not in self._tried for row in population])

    def _near_the_best(self) -> list[Indices]:
        """Neighbours of the designs with the highest rewards so far."""
        rewards = self._rewards()
        best = np.argsort(-rewards, kind="stable")[: self.settings.climbs]
        return [neighbours(self.problem.chip.space, self._rows[place]) for place in best]

    def _rewards(self) -> Floats:
        """Reward of each design with a known accuracy, the limit on accuracy aside."""
        price = self._prices(np.array(self._rows))
        accuracies = np.array(self._accuracies)
        return self.problem.scenario.objective.reward(accuracies, price)


def given(settings: Settings) -> Given:
    """Return that it computes costs."""
    return Given(cost_model=True)


class AccuracyModel:
    """Gaussian process over log channels, kernels and, where cell bits are free, sigma.

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

        features = self._features(np.array(rows))
        refit = len(rows) >= self.refit_growth * self._fitted_on
        if self._kernel is None:
            lengths = np.ones(features.shape[1])
            smooth = ConstantKernel(1.0) * Matern(lengths, (0.3, 100.0), nu=2.5)
            trend = ConstantKernel(1.0) * DotProduct(1.0)
            self._kernel = smooth + trend + WhiteKernel(0.01, (1e-5, 0.1))
        self._model = GaussianProcessRegressor(
            self._kernel, optimizer="fmin_l_bfgs_b" if refit else None, normalize_y=True
        )
        with _quiet():
            self._model.fit(features, np.array(accuracies))
        if refit:
            self._kernel, self._fitted_on = self._model.kernel_, len(rows)

    def predict(self, population: Indices) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of accuracy, both [designs]."""
        with _quiet():
            mean, std = self._model.predict(self._features(population), return_std=True)
        return mean, np.maximum(std, 1e-9)

    def _features(self, population: Indices) -> Floats:
        """Scale every feature to a width of about one."""
        scenario, space = self.problem.scenario, self.problem.chip.space
        channels, kernels = networks(space, population)
        columns = [np.log2(channels) / 2, kernels / 4]
        if "cell_bits" in space.freed:
            sigma = sigmas(scenario, space, population)
            columns.append(sigma[:, None] / 0.1)
        return np.hstack(columns)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence scikit-learn where a kernel parameter sits on its bound: that is no fault here."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
