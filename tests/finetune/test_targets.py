"""Targets under the surrogate: labelled, covered by it, and better than chance finds."""

import numpy as np
import pytest

from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.evaluate import Evaluator
from finetune.targets import surrogate_traces
from search.landscape import draw, sigmas


def test_the_search_beats_the_best_of_400_random_designs(tasks):
    model = surrogate.load()
    for task in (tasks[0], tasks[2], tasks[5], tasks[7]):
        drawn = draw(task.space, 400, np.random.default_rng(1))
        drawn = drawn[sigmas(task.scenario, task.space, drawn) <= surrogate.LARGEST_SIGMA]
        designs = [task.space.decode(row.tolist()) for row in drawn]
        judged = Evaluator(task.scenario, task.space, model.answer).evaluate(designs)
        rows = surrogate_traces(task, model, np.random.default_rng(0))
        best = max(row.evaluation.score for row in rows)
        assert best > max(evaluation.score for evaluation in judged), task.scenario.name


@pytest.mark.parametrize("place", [0, 5])
def test_targets_repeat_and_say_where_their_accuracy_is_from(tasks, place):
    task = tasks[place]
    model = surrogate.load()
    rows = list(surrogate_traces(task, model, np.random.default_rng(0)))
    again = list(surrogate_traces(task, model, np.random.default_rng(0)))
    assert rows == again
    assert {(row.source, row.evidence) for row in rows} == {
        ("surrogate", model.fitted.table_digest)
    }
    for row in rows:
        assert not task.space.check(row.evaluation.design)
        if row.evaluation.accuracy is not None:
            assert row.evaluation.accuracy.predictive_std > 0
            assert row.evaluation.accuracy.clean is None
