"""What an expert does with a free cost simulator: model accuracy alone, compute all the rest.

A Gaussian process learns accuracy from the designs evaluated in this run, and nothing else. The
exact cost model stands inside the acquisition: expected improvement of the reward, with energy,
latency, floorplan and area known and only accuracy uncertain. No episode goes to a design that is
infeasible for free, or to one tried before.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cim_sim.config import Config
from cim_sim.types import Count, Floats, Indices
from search.landscape import draw, neighbours, prices
from search.optimizers.acquisition import AccuracyModel, log_improvement
from search.proposal import Problem, Proposal
from search.record.given import Given
from search.record.trace import Trial

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
                least = -np.inf if self._best is None else self._best
                self._best = max(trial.evaluation.reward, least)

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
        return best, float(self._model.predict(best[None]).mean[0])

    def _acquisition(self, population: Indices) -> Floats:
        """Log of the expected improvement, [designs]; -inf where out of question."""
        price, believed = self._prices(population), self._model.predict(population)
        value = log_improvement(self.problem.scenario, price, believed, self._best)
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
