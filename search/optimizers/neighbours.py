"""A lookup by results: what was best in the training task that behaves like this one.

Each design of this search is also asked of the landscapes of some training tasks (exact cost,
accuracy by the surrogate). Of the task whose rewards agree best in rank with those seen here, the
best design that was not tried yet comes next. It needs no word of the scenario.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cim_sim.config import Config
from cim_sim.evaluate import INFEASIBLE_REWARD
from cim_sim.space import Design
from cim_sim.types import Count, Floats
from search.landscape import INFEASIBLE, Landscape, predicted
from search.optimizers.lookup import behind, drawn, recalled, solved_tasks
from search.proposal import Problem, Proposal
from search.record.given import Given
from search.record.lookup import LOOKUP_TABLE, Solved
from search.record.tasks import Task
from search.record.trace import Trial
from search.transfer import nearest, projected, projected_design


class Settings(Config):
    """Which tasks are asked, and when their answers count."""

    table: Path = LOOKUP_TABLE
    tasks: Count = 40
    """Nearest tasks; where the scenario is not told, so many of all, evenly."""
    first: Count = 5
    """Designs that are looked up before the results decide."""


class Neighbours:
    """Follows the training task that agrees best with the results so far."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        from cim_sim.accuracy.surrogate.model import load

        self._problem, self._settings = problem, settings
        self._task = problem.chip
        every = solved_tasks(settings.table)
        self._known = _chosen(self._task, every, settings.tasks)
        self._lands = [
            Landscape(one.scenario, one.space, predicted(one.scenario, one.space, load()))
            for one in (row.task for row in self._known)
        ]
        self._first = recalled(self._task, every, settings.tasks)
        self._scores: list[float] = []
        self._theirs: list[Floats] = []
        """Of each evaluated design: its reward in every known task, [tasks]."""
        self._tried: set[Design] = set()
        self._step = 0

    def suggest(self, count: int) -> list[Proposal]:
        """Return the best untried designs of the tasks that are most alike."""
        return [Proposal(self._next()) for _ in range(count)]

    def update(self, trials: Sequence[Trial]) -> None:
        """Ask the known tasks about every design that was evaluated here."""
        for trial in trials:
            if trial.design and trial.evaluation and trial.duplicate_of is None:
                self._scores.append(trial.score)
                self._theirs.append(self._rewards(trial.design))

    def _next(self) -> Design:
        self._step += 1
        candidates = self._first if len(self._scores) < self._settings.first else self._alike()
        design = next((one for one in candidates if one not in self._tried), None)
        design = design or drawn(self._problem, self._step)
        self._tried.add(design)
        return design

    def _alike(self) -> list[Design]:
        """Designs of the known tasks, the most alike task first."""
        order = np.argsort(-likeness(self._scores, np.array(self._theirs)), kind="stable")
        rows = [self._known[place] for place in order]
        space = self._task.space
        return [projected_design(one, row.task, space) for row in rows for one in row.designs]

    def _rewards(self, design: Design) -> Floats:
        space, task = self._task.space, self._task
        row = np.array([space.encode(design)], dtype=np.int64)
        # Of a blind task the hardware is not told; the other task's own stands in for it.
        fixed = [task.scenario if task.told else known.task.scenario for known in self._known]
        rewards = [
            land.fitness(projected(row, space, scenario.hardware, land.space))[0]
            for land, scenario in zip(self._lands, fixed, strict=True)
        ]
        return np.where(np.array(rewards) > INFEASIBLE, rewards, INFEASIBLE_REWARD)


def given(settings: Settings) -> Given:
    """Return what stands behind the table, and the landscapes of its tasks."""
    return behind(settings.table) + Given(cost_model=True)


def likeness(scores: Sequence[float], theirs: Floats) -> Floats:
    """Rank correlation of our scores [designs] with each column of theirs [designs, tasks].

    0 where one of the two knows no difference.
    """
    from scipy.stats import rankdata

    ours, others = rankdata(scores), rankdata(theirs, axis=0)
    ours, others = ours - ours.mean(), others - others.mean(axis=0)
    norm = np.sqrt((ours**2).sum() * (others**2).sum(axis=0))
    return np.asarray(ours @ others / np.where(norm > 0, norm, np.inf))


def _chosen(task: Task, solved: Sequence[Solved], count: int) -> list[Solved]:
    if task.told:
        places = nearest(task, [row.task for row in solved], count)
        return [solved[place] for place in places]
    return list(solved[:: max(len(solved) // count, 1)][:count])
