"""Targets under the surrogate: labelled, covered by it, and better than chance finds."""

import numpy as np
import pytest

from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.evaluate import Evaluator
from finetune.targets import surrogate_traces
from search.landscape import draw
from search.study.solve import EFFORT


@pytest.mark.parametrize("place", [0, 3, 5, 8])
def test_the_search_beats_as_many_random_designs_as_it_starts_from(tasks, place):
    task, model = tasks[place], surrogate.load()
    rows = list(surrogate_traces(task, model, np.random.default_rng(0)))
    population = draw(task.space, EFFORT.start, np.random.default_rng(1))
    judge = Evaluator(task.scenario, task.space, model.answer)
    random = judge.evaluate([task.space.decode(row.tolist()) for row in population])
    best = max(evaluation.score for evaluation in random)
    assert max(row.evaluation.score for row in rows) > best > -1


@pytest.mark.parametrize("place", [0, 5])
def test_targets_are_the_same_each_time_and_say_where_accuracy_is_from(tasks, place):
    task, model = tasks[place], surrogate.load()
    rows = list(surrogate_traces(task, model, np.random.default_rng(0)))
    assert rows == list(surrogate_traces(task, model, np.random.default_rng(0)))
    assert {(row.source, row.evidence) for row in rows} == {
        ("surrogate", model.fitted.table_digest)
    }
    for row in rows:
        assert not task.space.check(row.evaluation.design)
        if row.evaluation.accuracy is not None:
            assert row.evaluation.accuracy.predictive_std > 0
            assert row.evaluation.accuracy.clean is None
