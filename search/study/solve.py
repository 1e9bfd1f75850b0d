"""Solves training tasks under the accuracy surrogate: what others then look up.

The traces of a fine-tuning come from the same search. An optimiser finds a regression's mistakes,
but this one was refitted on what searches of it had found, and errs there by .011 on average
(cim_sim/accuracy/README.md). A search that kept below the prediction by a standard deviation
ended a sixth of the way from the best design to the median one, and taught that.
"""

from collections.abc import Iterator

import numpy as np

from cim_sim.accuracy.surrogate import model as surrogates
from cim_sim.accuracy.surrogate.model import Surrogate
from cim_sim.progress import counted
from cim_sim.space import Design
from cim_sim.workers import each
from search.landscape import INFEASIBLE, Effort, Landscape, Ranked, evolve, predicted
from search.record.lookup import Solved
from search.record.tasks import Task
from search.study.family import tasks

EFFORT = Effort(start=400, rounds=30, children=120, parents=24)
EVALUATIONS = EFFORT.start + EFFORT.rounds * EFFORT.children
"""Of the search of one task."""
BEST = 3
"""Designs of each task in a lookup table."""
CHUNK = 20
"""Tasks that a process of the pool solves at a time."""


def search(task: Task, surrogate: Surrogate, rng: np.random.Generator) -> Ranked:
    """Return all designs that the search of one task saw, the fittest first."""
    accuracy = predicted(task.scenario, task.space, surrogate)
    land = Landscape(task.scenario, task.space, accuracy)
    return evolve(land.fitness, task.space, rng, EFFORT)


def solve(first: int, count: int) -> list[Solved]:
    """Solve training tasks from number `first` on; one that has nothing feasible has no designs."""
    surrogate, solved = surrogates.load(), []
    for number, task in enumerate(tasks("train", count, first=first), start=first):
        ranked = search(task, surrogate, np.random.default_rng(number))
        solved.append(Solved(task, _best(task, ranked), EVALUATIONS))
    return solved


def solve_all(count: int, workers: int) -> Iterator[Solved]:
    """Yield the first `count` training tasks, solved, in their order."""
    chunks = [(first, min(CHUNK, count - first)) for first in range(0, count, CHUNK)]
    parts = {}
    with counted("parts", len(chunks)) as step:
        for number, found in each(solve, chunks, workers):
            parts[number] = found
            step(f"tasks from {chunks[number][0]} on")
    for number in sorted(parts):
        yield from parts[number]


def _best(task: Task, ranked: Ranked) -> tuple[Design, ...]:
    feasible = ranked.population[ranked.fitness > INFEASIBLE][:BEST]
    return tuple(task.space.decode(row.tolist()) for row in feasible)
