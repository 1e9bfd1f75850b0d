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
from search.landscape import INFEASIBLE, Ranked, mutated, sigmas
from search.optimizers.lookup import known_designs
from search.record.lookup import LOOKUP_TABLE
from search.record.tasks import Task
from search.study import solve

if TYPE_CHECKING:
    from cim_sim.accuracy.surrogate.model import Surrogate

BEST, ON_THE_WAY, RANDOM = 6, 10, 8
"""Designs kept of each kind: the best, intermediate ones, and uniformly drawn ones."""
NEAR_MISSES = 8
"""Designs that fail a limit by the least: where a search ends that does not look at the limit."""
RECALLED = 8
"""What `lookup` would propose first, and as many variants: there a model begins that sees it."""
EVALUATIONS = solve.EVALUATIONS + 2 * RECALLED
"""Of one task."""


def surrogate_traces(
    task: Task, surrogate: "Surrogate", rng: np.random.Generator
) -> Iterator[Trace]:
    """Search one scenario, and evaluate what it found with the surrogate's plain prediction."""
    ranked = solve.search(task, surrogate, rng)
    kept = np.vstack([ranked.population[_kept(ranked, rng)], _recalled(task, rng)])
    known = sigmas(task.scenario, task.space, kept) <= LARGEST_SIGMA
    designs = [task.space.decode(row.tolist()) for row in np.unique(kept[known], axis=0)]
    judge = Evaluator(task.scenario, task.space, surrogate.answer)
    for evaluation in judge.evaluate(designs):
        yield Trace(task.space.name, "surrogate", surrogate.fitted.table_digest, evaluation)


def _kept(ranked: Ranked, rng: np.random.Generator) -> Indices:
    """Return places: of the best, of some of the better half, of all, and of near misses."""
    count = len(ranked.population)
    middle = np.arange(BEST, max(BEST + 1, count // 2))
    feasible = int(np.sum(ranked.fitness > INFEASIBLE))
    missed = np.arange(feasible, min(count, feasible + 8 * NEAR_MISSES))
    return np.concatenate(
        [
            np.arange(min(BEST, count)),
            rng.choice(middle, min(ON_THE_WAY, len(middle)), replace=False),
            rng.choice(count, min(RANDOM, count), replace=False),
            rng.choice(missed, min(NEAR_MISSES, len(missed)), replace=False),
        ]
    )


def _recalled(task: Task, rng: np.random.Generator) -> Indices:
    """Return designs of similar tasks, and as many that differ from one in about a parameter."""
    designs = known_designs(task, LOOKUP_TABLE, RECALLED)
    width = len(task.space.parameters)
    rows = np.array([task.space.encode(one) for one in designs], dtype=np.int64).reshape(-1, width)
    return np.vstack([rows, mutated(task.space, rows, 1 / width, rng)])
