"""A regression of training tasks as the judge of recalled designs: what it is told and learns."""

import numpy as np
import pytest

from cim_sim.accuracy.surrogate.model import load
from cim_sim.evaluate import Evaluator
from search.landscape import draw, predicted
from search.optimizers.boosted import DRAWN, Settings, boosted, described, given, regression
from search.optimizers.lookup import buildable, solved_tasks
from search.proposal import Problem
from search.record.lookup import LOOKUP_TABLE
from search.study.family import tasks

VALIDATION = tasks("validation", 4)


@pytest.mark.parametrize("task", VALIDATION, ids=lambda task: task.name)
def test_it_tells_unseen_tasks_networks_apart(task):
    """Half of the spread of random networks is explained at the least, in scenarios not learnt."""
    rows = draw(task.space, 300, np.random.default_rng(0))
    truth = predicted(task.scenario, task.space, load())(rows)
    expected = regression(LOOKUP_TABLE).predict(described(task.scenario, task.space, rows))
    assert np.sqrt(np.mean((expected - truth) ** 2)) < 0.5 * truth.std()


def test_a_design_is_told_as_it_is_trained_on_the_chip_that_it_chooses():
    task = next(one for one in tasks("space", 20) if one.space.freed)
    rows = draw(task.space, 50, np.random.default_rng(1))
    facts = described(task.scenario, task.space, rows)
    for row, told in zip(rows, facts, strict=True):
        design = task.space.decode(row.tolist())
        hardware = task.scenario.hardware.complete(design.hardware)
        widths = [layer.channels / task.space.width_divisor for layer in design.layers]
        sigma = task.scenario.variation.effective(hardware.cell_bits)
        chip = [sigma, sigma, hardware.subarray, np.log2(hardware.adc_levels)]
        kernels = [layer.kernel for layer in design.layers]
        assert told == pytest.approx([*np.log2(widths), *kernels, *chip])


def test_its_first_belief_is_what_the_regression_says():
    (task,) = tasks("validation", 1, first=2)
    problem = Problem(task, Evaluator(task.scenario, task.space, None).screen, seed=0)
    optimizer = boosted(problem, Settings(recalled=8))
    (first,) = optimizer.suggest(1)
    rows = buildable(problem, LOOKUP_TABLE, 8)
    expected = regression(LOOKUP_TABLE).predict(described(task.scenario, task.space, rows))
    assert optimizer._belief().mean == pytest.approx(expected)
    assert first.design in [task.space.decode(row.tolist()) for row in rows]
    assert first.exchanges == ()


def test_what_it_learnt_from_is_counted():
    solved = solved_tasks(LOOKUP_TABLE)
    evaluations = sum(one.evaluations for one in solved)
    lessons = sum(DRAWN + len(one.designs) for one in solved)
    assert given(Settings()).trace_evaluations == evaluations + lessons
