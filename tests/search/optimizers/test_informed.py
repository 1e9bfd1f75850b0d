"""The informed greybox: where it begins, what it never does, and what it believes of accuracy."""

import numpy as np
import pytest

from search.landscape import draw
from search.optimizers.informed import MEAN, Informed, Settings, believed_accuracy
from search.proposal import Problem
from search.record.tasks import Task
from search.record.trace import Trial


@pytest.fixture
def problem(config, judge):
    limits = {"area_um2": 1.7e7, "accuracy": 0.2}
    wanted = config(scenario={**config().scenario.model_dump(exclude_none=True), "limits": limits})
    evaluator = judge(wanted)
    return Problem(
        Task(scenario=wanted.scenario, space=wanted.space), evaluator.screen, 0
    ), evaluator


def search(optimizer, evaluator, rounds, batch=1):
    found = []
    for _ in range(rounds):
        results = evaluator.evaluate([one.design for one in optimizer.suggest(batch)])
        optimizer.update(trials := [trial_of(one) for one in results])
        found += trials
    return found


def trial_of(result):
    return Trial(step=0, design=result.design, evaluation=result, started_at="", seconds=0)


def test_it_begins_with_the_first_recalled_design_that_is_free_to_build(run_of, problem, tmp_path):
    where, evaluator = problem
    lookup = run_of(tmp_path / "run", optimizer="lookup", scenario=where.scenario, episodes=12)
    recalled = [trial.design for trial in lookup]
    free = [one.infeasible is None for one in evaluator.screen(recalled)]
    (first,) = Informed(where, Settings()).suggest(1)
    assert first.design == recalled[free.index(True)]


@pytest.mark.parametrize("batch", [1, 4])
def test_nothing_is_proposed_twice_or_infeasible_for_free(problem, batch):
    where, evaluator = problem
    found = search(Informed(where, Settings(pool=60)), evaluator, 12 // batch, batch)
    assert len({trial.design.design_id for trial in found}) == 12
    kinds = {trial.evaluation.infeasible.kind for trial in found if trial.evaluation.infeasible}
    assert kinds <= {"accuracy"}


def test_candidates_are_recalled_near_the_best_or_random(problem):
    where, evaluator = problem
    optimizer = Informed(where, Settings(recalled=8, pool=3, climbs=1))
    assert len(optimizer._candidates()) <= 8 + 3
    (trial,) = search(optimizer, evaluator, 1)
    rows = optimizer._candidates()
    changed = np.sum(rows != np.array(where.space.encode(trial.design)), axis=1)
    assert np.sum(changed > 1) <= 7 + 3
    assert np.sum(changed == 1) > 12


def test_what_somebody_else_tried_is_learnt_and_not_tried_again(problem):
    where, evaluator = problem
    (first,) = Informed(where, Settings()).suggest(1)
    optimizer = Informed(where, Settings())
    optimizer.observe([trial_of(one) for one in evaluator.evaluate([first.design])])
    assert optimizer._accuracies == [evaluator.evaluate([first.design])[0].accuracy.mean]
    assert first.design not in [one.design for one in optimizer.suggest(5)]


def test_accuracy_is_believed_where_it_was_measured_and_uncertain_elsewhere(problem):
    where, _ = problem
    asked = draw(where.space, 30, np.random.default_rng(1))
    one = believed_accuracy(where, [asked[0]], [MEAN], asked)
    assert one.mean == pytest.approx(MEAN), "what was expected changes nothing"
    both = believed_accuracy(where, [asked[0], asked[1]], [0.42, 0.51], asked)
    assert both.mean[:2] == pytest.approx([0.42, 0.51], abs=0.02)
    assert np.all(both.std <= one.std + 1e-9)
    assert both.std[0] < 0.02 < both.std[5:].min()
