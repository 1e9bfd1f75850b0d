"""Good designs of a scenario under the accuracy surrogate: the second source of traces.

Scale and quality of the targets decide how good a model becomes; the bench alone has too few
networks for most scenarios. Every accuracy that comes from here is a prediction, and each trace
says so.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cim_sim.accuracy.surrogate.model import LARGEST_SIGMA
from cim_sim.evaluate import Evaluator
from cim_sim.types import Indices
from finetune.traces import Trace
from search.landscape import sigmas
from search.record.tasks import Task
from search.study.solve import search

if TYPE_CHECKING:
    from cim_sim.accuracy.surrogate.model import Surrogate

BEST, ON_THE_WAY, RANDOM = 4, 12, 16
"""Designs kept of each kind: the best, intermediate ones, and uniformly drawn ones."""


def surrogate_traces(
    task: Task, surrogate: "Surrogate", rng: np.random.Generator
) -> Iterator[Trace]:
    """Search one scenario, and evaluate what it found with the surrogate's plain prediction."""
    population, _ = search(task, surrogate, rng)
    known = sigmas(task.scenario, task.space, population) <= LARGEST_SIGMA
    kept = _kept(population[known], rng)
    designs = [task.space.decode(row.tolist()) for row in kept]
    judge = Evaluator(task.scenario, task.space, surrogate.answer)
    for evaluation in judge.evaluate(designs):
        yield Trace(task.space.name, "surrogate", surrogate.fitted.table_digest, evaluation)


def _kept(population: Indices, rng: np.random.Generator) -> Indices:
    """Keep the best of a population, best first, some of the better half below, and some of all."""
    middle = np.arange(BEST, max(BEST + 1, len(population) // 2))
    places: Indices = np.concatenate(
        [
            np.arange(min(BEST, len(population))),
            rng.choice(middle, min(ON_THE_WAY, len(middle)), replace=False),
            rng.choice(len(population), min(RANDOM, len(population)), replace=False),
        ]
    )
    return np.asarray(population[np.unique(places)], dtype=np.int64)
