"""What a sceptic would do: replay the best designs of the training tasks that are nearest.

It learns nothing from its own search. On a blind task there is nothing to measure a distance by:
the training tasks' designs then come in a fixed order, those that were good most often first.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from cim_sim.config import Config, UsageError
from cim_sim.space import Design, Space
from cim_sim.types import Count, Indices
from search.landscape import draw, prices
from search.proposal import Problem, Proposal
from search.record.given import Given, regression
from search.record.lookup import LOOKUP_TABLE, Solved, read_lookup
from search.record.tasks import AnyTask, Task
from search.record.trace import Trial
from search.transfer import nearest, projected_design


class Settings(Config):
    """Where designs are looked up, and in which order."""

    table: Path = LOOKUP_TABLE
    """Made by `python -m search lookup-table`."""
    nearest: Count = 20
    """Tasks that are asked for their best design before any is asked for its second best."""


class Lookup:
    """Proposes designs in the order of `recalled`; when they are at an end, random ones."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self._problem = problem
        self._designs = recalled(problem.chip, solved_tasks(settings.table), settings.nearest)
        self._step = 0

    def suggest(self, count: int) -> list[Proposal]:
        """Return the next designs."""
        return [Proposal(self._next()) for _ in range(count)]

    def update(self, trials: Sequence[Trial]) -> None:
        """Learn nothing."""

    def _next(self) -> Design:
        self._step += 1
        return next(self._designs, None) or drawn(self._problem, self._step)


def given(settings: Settings) -> Given:
    """Return what stands behind the table."""
    return behind(settings.table)


def behind(table: Path) -> Given:
    """Return what a table cost."""
    evaluations = sum(row.evaluations for row in solved_tasks(table))
    return regression(evaluations).model_copy(update={"recalled": evaluations})


def buildable(problem: Problem, table: Path, count: int) -> Indices:
    """Return the first recalled designs that are feasible for free, [designs, parameters].

    Raises:
        UsageError: the task is blind, or the user's own.
    """
    space = problem.chip.space
    designs = recalled(problem.chip, solved_tasks(table), Settings().nearest)
    found: list[Indices] = []
    while len(found) < count and (part := list(islice(designs, count))):
        rows = np.array([space.encode(design) for design in part], dtype=np.int64)
        found += list(rows[prices(problem.scenario, space, rows).allowed])
    rows = np.array(found[:count], dtype=np.int64)
    return rows.reshape(-1, len(space.parameters))


def known_designs(task: AnyTask, table: Path, count: int) -> list[Design]:
    """Return the first designs that are recalled from other tasks.

    None for a blind task, or for the user's own, which is like no other.
    """
    if not (count and task.told and isinstance(task, Task)):
        return []
    others = [row for row in solved_tasks(table) if row.task.scenario != task.scenario]
    return list(islice(recalled(task, others, Settings().nearest), count))


@lru_cache(maxsize=2)
def solved_tasks(table: Path) -> tuple[Solved, ...]:
    """Return the tasks of a table for which something feasible was found.

    Raises:
        UsageError: the table is missing, damaged or empty.
    """
    solved = tuple(row for row in read_lookup(table) if row.designs)
    if not solved:
        raise UsageError(
            f"{table}: holds no task with a design; make one: python -m search lookup-table"
        )
    return solved


def recalled(task: Task, solved: Sequence[Solved], count: int) -> Iterator[Design]:
    """Yield designs of other tasks in the space of this one, without repeats.

    The best design of each of the `count` nearest tasks, then their second bests, and so on; then
    those of the next `count`. Of a blind task: the most frequent first.
    """
    if not task.told:
        yield from _most_frequent(task.space, solved)
        return
    seen: set[Design] = set()
    places = iter(nearest(task, [row.task for row in solved], len(solved)))
    while block := [solved[place] for place in islice(places, count)]:
        for rank in range(max(len(row.designs) for row in block)):
            for row in block:
                if rank < len(row.designs):
                    design = projected_design(row.designs[rank], row.task, task.space)
                    if design not in seen:
                        seen.add(design)
                        yield design


def drawn(problem: Problem, step: int) -> Design:
    """Draw a random design."""
    (row,) = draw(problem.space, 1, problem.generator("drawn", step))
    return problem.space.decode(row.tolist())


def _most_frequent(space: Space, solved: Sequence[Solved]) -> Iterator[Design]:
    counts = Counter(
        projected_design(design, row.task, space) for row in solved for design in row.designs
    )
    yield from (design for design, _ in counts.most_common())
