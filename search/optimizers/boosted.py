"""What `lookup` recalls, in the order of a regression of training tasks: `ranked` without language.

What a language model learns of accuracy from traces, gradient boosting learns in seconds. Whoever
says that a tuned model helps has to hold it against this.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cim_sim.config import Config
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from cim_sim.types import Count, Floats, Indices
from search.landscape import by_hardware, draw, networks, predicted
from search.optimizers.judged import RECALLED, Expected, Judged
from search.optimizers.lookup import behind, buildable, solved_tasks
from search.proposal import Problem
from search.record.given import Given
from search.record.lookup import LOOKUP_TABLE, Solved

DRAWN = 40
"""Random designs of each training task, beside its best ones."""


class Settings(Config):
    """Which tasks it learns from, and how many designs it weighs."""

    table: Path = LOOKUP_TABLE
    """Training tasks with their best designs, made by `python -m search lookup-table`."""
    recalled: Count = RECALLED
    """Designs of training tasks that it weighs: the first ones of `lookup` that are feasible for
    free."""


def boosted(problem: Problem, settings: Settings) -> Judged:
    """Make the optimiser.

    Raises:
        UsageError: the task is blind, or the user's own.
    """
    rows = buildable(problem, settings.table, settings.recalled)
    facts = described(problem.scenario, problem.chip.space, rows)
    return Judged(problem, rows, lambda: Expected(regression(settings.table).predict(facts)))


def given(settings: Settings) -> Given:
    """Return what stands behind its tasks, and behind the accuracies that it learnt from."""
    tasks = solved_tasks(settings.table)
    judged = sum(DRAWN + len(solved.designs) for solved in tasks)
    return behind(settings.table) + Given(trace_evaluations=judged, cost_model=True)


@lru_cache(maxsize=2)
def regression(table: Path) -> Any:
    """Return gradient boosting fitted to the accuracies of training tasks, by the surrogate."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    facts, accuracies = zip(*_lessons(solved_tasks(table)), strict=True)
    model = HistGradientBoostingRegressor(
        max_iter=600, learning_rate=0.06, l2_regularization=1.0, random_state=0
    )
    return model.fit(np.vstack(facts), np.concatenate(accuracies))


def _lessons(tasks: tuple[Solved, ...]) -> Iterator[tuple[Floats, Floats]]:
    """Yield facts and accuracies of each task's best designs and of random ones."""
    from cim_sim.accuracy.surrogate.model import load

    surrogate = load()
    for number, (task, designs, _) in enumerate(tasks):
        random = draw(task.space, DRAWN, np.random.default_rng(number))
        best = np.array([task.space.encode(design) for design in designs], dtype=np.int64)
        rows = np.vstack([best, random])
        yield (
            described(task.scenario, task.space, rows),
            predicted(task.scenario, task.space, surrogate)(rows),
        )


def described(scenario: Scenario, space: Space, population: Indices) -> Floats:
    """Return what accuracy may depend on, [designs, facts]: a task told in numbers.

    Log channels of the network as it is trained, kernels, variation in training and in use, rows
    and log converter levels of a subarray.
    """
    channels, kernels = networks(space, population)
    chip = np.empty((len(population), 4))
    for free, rows in by_hardware(space, population):
        hardware = scenario.hardware.complete(free)
        sigma = scenario.variation.effective(hardware.cell_bits)
        trained = sigma if scenario.training_sigma == "matched" else scenario.training_sigma
        chip[rows] = sigma, trained, hardware.subarray, np.log2(hardware.adc_levels)
    return np.hstack([np.log2(channels / space.width_divisor), kernels, chip])
