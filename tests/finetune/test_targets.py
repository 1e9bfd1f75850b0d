"""Targets under the surrogate: labelled, covered by it, and better than chance finds."""

import numpy as np
import pytest

from cim_sim.accuracy.surrogate import model as surrogate
from finetune.targets import surrogate_traces


@pytest.mark.parametrize("place", [0, 5])
def test_the_search_beats_random_designs_and_says_where_accuracy_is_from(tasks, place):
    task = tasks[place]
    model = surrogate.load()
    rows = list(surrogate_traces(task, model, np.random.default_rng(0)))
    again = list(surrogate_traces(task, model, np.random.default_rng(0)))
    assert rows == again
    assert {(row.source, row.evidence) for row in rows} == {
        ("surrogate", model.fitted.table_digest)
    }
    scores = np.array([row.evaluation.score for row in rows])
    assert scores.max() > np.median(scores)
    for row in rows:
        assert not task.space.check(row.evaluation.design)
        if row.evaluation.accuracy is not None:
            assert row.evaluation.accuracy.predictive_std > 0
            assert row.evaluation.accuracy.clean is None
