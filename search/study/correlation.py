"""How much of a test task's landscape the nearest training tasks tell already.

Spearman over random designs of the test task's space: its reward, against the training task's
reward of the same designs projected into that one's space; infeasible designs share the bottom.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from cim_sim.accuracy.surrogate.model import Surrogate
from cim_sim.scenario import Limits
from cim_sim.types import Floats, Indices
from search.landscape import INFEASIBLE, Landscape, draw, predicted
from search.record.tasks import Task
from search.transfer import nearest, projected

DESIGNS = 1500
"""Random designs of each test task."""
NEAREST = 8
"""Training tasks of which the most alike counts."""
QUARTILES = (0.25, 0.5, 0.75)


class Likeness(NamedTuple):
    """Rank correlations of one test task; 0 where one of the two landscapes is flat."""

    nearest: float
    """With the nearest training task."""
    best: float
    """The highest with any of the `NEAREST`."""
    best_without_limits: float
    """The same with no limit in either: the landscape without the edges of what is feasible."""
    feasible: float
    """Share of the random designs."""


def likenesses(
    tests: Sequence[Task], training: Sequence[Task], surrogate: Surrogate
) -> Iterator[Likeness]:
    """Yield the likeness of each test task to the training tasks."""
    for number, task in enumerate(tests):
        population = draw(task.space, DESIGNS, np.random.default_rng(number))
        near = [training[place] for place in nearest(task, training, NEAREST)]
        limited = [_correlation(task, other, population, surrogate) for other in near]
        free = [
            _correlation(_unlimited(task), _unlimited(other), population, surrogate)
            for other in near
        ]
        rewards = _rewards(task, population, surrogate)
        feasible = float((rewards > INFEASIBLE).mean())
        yield Likeness(limited[0], max(limited), max(free), feasible)


def row(split: str, rows: Sequence[Likeness]) -> str:
    """Return one line of the Markdown table: quartiles over the tasks of a split."""
    cells = []
    for column in zip(*rows, strict=True):
        low, median, high = np.quantile(column, QUARTILES)
        cells.append(f"{median:.2f} [{low:.2f}, {high:.2f}]")
    return "| " + " | ".join([split, str(len(rows)), *cells]) + " |"


HEAD = "| split | tasks | nearest | best of 8 | best of 8, no limits | feasible |"


def _correlation(task: Task, other: Task, population: Indices, surrogate: Surrogate) -> float:
    from scipy.stats import spearmanr

    there = projected(population, task.space, task.scenario.hardware, other.space)
    pair = _rewards(task, population, surrogate), _rewards(other, there, surrogate)
    if any(np.ptp(rewards) == 0 for rewards in pair):
        return 0.0
    return float(spearmanr(*pair).statistic)


def _rewards(task: Task, population: Indices, surrogate: Surrogate) -> Floats:
    accuracy = predicted(task.scenario, task.space, surrogate)
    land = Landscape(task.scenario, task.space, accuracy)
    return np.maximum(land.fitness(population), INFEASIBLE)


def _unlimited(task: Task) -> Task:
    free = task.scenario.model_copy(update={"limits": Limits()})
    return task.model_copy(update={"scenario": free})
