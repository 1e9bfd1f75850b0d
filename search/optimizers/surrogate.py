"""The rival that needs no search: best by the table's regression and the exact cost.

Under the surrogate evaluator it asks its own judge and is the oracle; tables call it so. Under real
training it is the rival to beat: whoever has the table has this.
"""

from collections.abc import Sequence

import numpy as np

from cim_sim.config import Config
from cim_sim.space import Design
from cim_sim.types import Natural
from search.landscape import (
    Effort,
    Landscape,
    Ranked,
    evolve,
    neighbours,
    predicted,
    ranked,
    require_known,
)
from search.optimizers.lookup import drawn
from search.proposal import Problem, Proposal
from search.record.given import Given, regression
from search.record.trace import Trial

EFFORT = Effort(start=2000, rounds=30, children=300, parents=60)


class Settings(Config):
    """How the best designs are looked for."""

    caution: Natural = 0
    """Predictive standard deviations by which accuracies are lowered."""


class SurrogateOptimizer:
    """Proposes the designs that it predicts to be best, the best first."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        from cim_sim.accuracy.surrogate.model import load

        scenario, space = problem.scenario, problem.chip.space
        require_known(scenario, space)
        accuracy = predicted(scenario, space, load(), caution=settings.caution)
        self._problem = problem
        self._ranked = climbed(
            Landscape(scenario, space, accuracy), problem.generator("surrogate", 0)
        )
        self._step = 0

    def suggest(self, count: int) -> list[Proposal]:
        """Return the next best designs."""
        return [Proposal(self._next()) for _ in range(count)]

    def update(self, trials: Sequence[Trial]) -> None:
        """Learn nothing."""

    def _next(self) -> Design:
        place, self._step = self._step, self._step + 1
        if place < len(self._ranked.population):
            return self._problem.space.decode(self._ranked.population[place].tolist())
        return drawn(self._problem, place)


def given(settings: Settings) -> Given:
    """Return what stands behind the regression."""
    return regression(cost_model=True)


def climbed(land: Landscape, rng: np.random.Generator) -> Ranked:
    """Evolve, then climb from the best until no single change improves it."""
    population, fitness = evolve(land.fitness, land.space, rng, EFFORT)
    while True:
        near = neighbours(land.space, population[0])
        if not len(near):
            return Ranked(population, fitness)
        population = np.vstack([population[:1], near, population[1:]])
        fitness = np.concatenate([fitness[:1], land.fitness(near), fitness[1:]])
        before, (population, fitness) = fitness[0], ranked(population, fitness)
        if fitness[0] <= before:
            return Ranked(population, fitness)
