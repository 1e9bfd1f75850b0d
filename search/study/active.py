"""Active rounds: train what an optimiser finds best under the surrogate, where it is most wrong.

A regression on random designs is exploited: the optimiser ends where the regression errs upwards.
Each round searches training tasks of the family with the current surrogate; the winners are
trained and added to the table. The next fit learns from them, and the newest round examines it.
"""

from collections.abc import Iterator
from itertools import count

import numpy as np

from cim_sim.accuracy.bench.jobs import LEVELS, Job
from cim_sim.accuracy.query import Query
from cim_sim.accuracy.surrogate.model import Surrogate, require_covered
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from search.landscape import INFEASIBLE, Effort, Landscape, evolve, predicted
from search.study.family import tasks

EFFORT = Effort(start=192, rounds=30, children=192, parents=48)
ROUND = 10_000
"""Tasks of the family that belong to a round; those before the first are for other work."""
OTHER_LEVELS = 3
"""Levels of variation at which a network is tested beside that of its scenario."""


def round_jobs(surrogate: Surrogate, number: int, designs: int) -> list[Job]:
    """Return the trainings of round `number` (from 1): different networks."""
    jobs: dict[str, Job] = {}
    rng = np.random.default_rng([number, 7])
    for query in _favourites(surrogate, number * ROUND):
        job = Job(f"found {number}", tuple(_tests(query, rng)))
        jobs.setdefault(job.key, job)
        if len(jobs) == designs:
            break
    return list(jobs.values())


def favourite(scenario: Scenario, space: Space, surrogate: Surrogate, seed: int) -> Query | None:
    """Ask for the accuracy of the best design under the surrogate; None: none is feasible.

    Raises:
        UsageError: the surrogate does not know the space.
    """
    land = Landscape(scenario, space, predicted(scenario, space, surrogate))
    best = evolve(land.fitness, space, np.random.default_rng(seed), EFFORT)
    query = scenario.query(space.decode(best.population[0].tolist()), space, seed=0)
    require_covered(query)
    return query if best.fitness[0] > INFEASIBLE else None


def _favourites(surrogate: Surrogate, first: int) -> Iterator[Query]:
    """Yield the favourites in training tasks from number `first` on, without end."""
    for number in count(first):
        (task,) = tasks("train", 1, first=number)
        query = favourite(task.scenario, task.space, surrogate, seed=number)
        if query is not None:
            yield query


def _tests(query: Query, rng: np.random.Generator) -> Iterator[Query]:
    """Yield what the scenario asks, and the same network at other levels of variation."""
    yield query
    others = [level for level in LEVELS if level not in (query.sigma, 0.0)]
    for level in sorted(rng.choice(others, OTHER_LEVELS, replace=False).tolist()):
        yield query.model_copy(update={"sigma": level})
