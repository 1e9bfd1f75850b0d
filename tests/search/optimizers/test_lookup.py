"""The rivals that look things up: in which order, and whether results lead to the right task."""

import numpy as np
import pytest

from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.config import UsageError
from search.evaluators import build
from search.landscape import INFEASIBLE, Landscape, draw, predicted
from search.optimizers import lookup, neighbours
from search.optimizers.surrogate import Settings as SurrogateSettings
from search.optimizers.surrogate import SurrogateOptimizer
from search.proposal import Problem
from search.record.lookup import LOOKUP_TABLE, read_lookup, write_lookup
from search.record.manifest import Judge
from search.record.trace import Trial
from search.study.family import tasks
from search.transfer import nearest, projected_design


def problem_of(task, seed=0):
    evaluator = build(task.scenario, task.space, Judge(evaluator="surrogate"))
    return Problem(task, evaluator.screen, seed), evaluator


def played(optimizer, evaluator, steps):
    trials = []
    for step in range(steps):
        design = optimizer.suggest(1)[0].design
        (evaluation,) = evaluator.evaluate([design])
        trials.append(
            Trial(step=step, design=design, evaluation=evaluation, started_at="", seconds=0)
        )
        optimizer.update(trials[-1:])
    return trials


@pytest.fixture(scope="module")
def solved():
    return lookup.solved_tasks(LOOKUP_TABLE)


def test_the_best_of_each_near_task_comes_before_any_second_best(solved):
    (task,) = tasks("near", 1)
    found = list(lookup.recalled(task, solved, 3))
    places = nearest(task, [row.task for row in solved], 3)
    best = [projected_design(solved[p].designs[0], solved[p].task, task.space) for p in places]
    assert found[: len(set(best))] == list(dict.fromkeys(best))
    assert len(found) == len(set(found))
    assert all(task.space.check(design) == [] for design in found)


def test_a_model_is_shown_what_lookup_would_propose_but_never_a_task_s_own_designs(solved):
    (near,), (taught, *_) = tasks("near", 1), [row.task for row in solved]
    shown = lookup.known_designs(near, LOOKUP_TABLE, 4)
    assert shown == list(lookup.recalled(near, solved, lookup.Settings().nearest))[:4]
    others = [row for row in solved if row.task != taught]
    assert len(others) == len(solved) - 1
    shown = lookup.known_designs(taught, LOOKUP_TABLE, 4)
    assert shown == list(lookup.recalled(taught, others, lookup.Settings().nearest))[:4]
    blind = near.model_copy(update={"told": False})
    assert lookup.known_designs(blind, LOOKUP_TABLE, 4) == []


def test_a_blind_task_gets_the_same_order_whatever_its_scenario(solved):
    (task,) = tasks("blind", 1)
    other = tasks("blind", 2)[1].model_copy(update={"space": task.space})
    assert list(lookup.recalled(task, solved, 3)) == list(lookup.recalled(other, solved, 3))


def test_at_the_end_of_the_table_designs_are_drawn(solved, tmp_path):
    write_lookup(tmp_path / "small.parquet", list(solved[:1]))
    assert read_lookup(tmp_path / "small.parquet") == list(solved[:1])
    problem, _ = problem_of(tasks("near", 1)[0])
    rival = lookup.Lookup(problem, lookup.Settings(table=tmp_path / "small.parquet"))
    designs = [proposal.design for proposal in rival.suggest(12)]
    assert len(set(designs)) > 8
    with pytest.raises(UsageError, match="No such file"):
        lookup.Lookup(problem, lookup.Settings(table=tmp_path / "none.parquet"))


def test_likeness_is_spearmans_and_zero_where_nothing_differs():
    theirs = np.array([[1.0, 3.0, 5.0], [2.0, 2.0, 5.0], [4.0, 1.0, 5.0]])
    np.testing.assert_allclose(neighbours.likeness([0.1, 0.2, 0.9], theirs), [1, -1, 0])


@pytest.mark.slow
def test_results_lead_to_the_task_that_this_one_is(solved, tmp_path):
    """A task of the table, asked blindly: its own row must come to be the most alike."""
    place = next(place for place, row in enumerate(solved) if not row.task.space.freed)
    task = solved[place].task.model_copy(update={"told": False})
    write_lookup(tmp_path / "table.parquet", list(solved[place::4]))
    problem, evaluator = problem_of(task)
    settings = neighbours.Settings(table=tmp_path / "table.parquet", tasks=len(solved), first=6)
    rival = neighbours.Neighbours(problem, settings)
    played(rival, evaluator, 12)
    likeness = neighbours.likeness(rival._scores, np.array(rival._theirs))
    own = [row.task.scenario.digest for row in rival._known].index(task.scenario.digest)
    assert likeness[own] == pytest.approx(1.0)


def test_the_surrogate_s_first_design_is_what_no_single_change_and_no_sample_beats():
    (task,) = tasks("near", 1)
    problem, evaluator = problem_of(task)
    trials = played(SurrogateOptimizer(problem, SurrogateSettings()), evaluator, 3)
    scores = [trial.score for trial in trials]
    assert scores == sorted(scores, reverse=True)
    accuracy = predicted(task.scenario, task.space, surrogate.load())
    fitness = Landscape(task.scenario, task.space, accuracy).fitness
    random = fitness(draw(task.space, 2000, np.random.default_rng(5)))
    assert scores[0] >= random.max() > INFEASIBLE
