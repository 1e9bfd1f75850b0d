"""What `lookup` recalls, weighed by a model: whom it is asked about, and what results correct."""

import re

import numpy as np
import pytest
from pydantic import ValidationError

from cim_sim.accuracy import Accuracy
from cim_sim.config import UsageError
from cim_sim.evaluate import Evaluator
from search.landscape import prices
from search.llm.client import Client, Completion
from search.llm.prompt import answer
from search.llm.reply import parse_reply
from search.optimizers.judged import Judged
from search.optimizers.lookup import Settings as LookupSettings
from search.optimizers.lookup import buildable, recalled, solved_tasks
from search.optimizers.ranked import Settings, Weigher
from search.proposal import Problem, SearchStopped
from search.record.lookup import LOOKUP_TABLE
from search.record.tasks import Task
from search.record.trace import UNTIMED, Trial
from search.study.family import tasks

(TASK,) = tasks("validation", 1, first=2)
SETTINGS = Settings(model={"name": "m", "model": "x", "concurrency": 1}, similar=2, recalled=8)


def measured(mean):
    return Accuracy(mean=mean, std=0.02, quantile_10=mean - 0.03, draws=16, clean=mean)


def accuracy_of(queries):
    return [measured(0.6) for query in queries]


@pytest.fixture
def problem():
    return Problem(TASK, Evaluator(TASK.scenario, TASK.space, accuracy_of).screen, seed=3)


@pytest.fixture
def ranked(problem, held_model):
    def made(accuracy=None, settings=SETTINGS, asks=problem):
        model = held_model(accuracy)
        rows = buildable(asks, LOOKUP_TABLE, settings.recalled)
        weigher = Weigher(asks, settings, Client(settings.model, model), rows)
        return Judged(asks, rows, weigher.asked), model, rows

    return made


def found(design, accuracy):
    judge = Evaluator(TASK.scenario, TASK.space, lambda queries: [accuracy] * len(queries))
    (evaluation,) = judge.evaluate([design])
    return Trial(step=0, **UNTIMED, design=design, evaluation=evaluation)


def names(rows):
    return [answer(TASK.space.decode(row.tolist())) for row in rows]


def test_it_weighs_the_first_designs_of_lookup_that_are_feasible_for_free(ranked, problem):
    optimizer, model, rows = ranked()
    (first,) = optimizer.suggest(1)
    known = recalled(TASK, solved_tasks(LOOKUP_TABLE), LookupSettings().nearest)
    free = (one for one in known if problem.screen([one])[0].infeasible is None)
    wanted = [answer(next(free)) for _ in range(8)]
    said = [parse_reply(exchange.reply, TASK.space) for exchange in first.exchanges]
    assert names(rows) == [answer(one) for one in said] == wanted
    assert [exchange.weighed for exchange in first.exchanges] == said
    assert len({str(request["messages"][:-1]) for request in model.requests}) == 1
    assert answer(first.design) in wanted
    optimizer.suggest(7)
    assert len(model.requests) == 8, "it is asked once"


def test_of_a_free_chip_each_design_is_weighed_on_the_one_that_it_chooses(ranked):
    """The record says which design is meant, since the model reads it in other words."""
    task = next(one for one in tasks("validation", 60) if "cell_bits" in one.space.freed)
    judge = Evaluator(task.scenario, task.space, accuracy_of)
    optimizer, model, rows = ranked(asks=Problem(task, judge.screen, seed=3))
    (first,) = optimizer.suggest(1)
    meant = [task.space.decode(row.tolist()) for row in rows]
    assert [exchange.weighed for exchange in first.exchanges] == meant
    assert first.design in meant
    chips = {one.hardware for one in meant}
    assert len({str(request["messages"][:-1]) for request in model.requests}) == len(chips) > 1
    assert not any("hardware" in request["messages"][-1]["content"] for request in model.requests)


def test_the_greatest_expected_reward_comes_first_and_none_comes_twice(ranked):
    _, _, rows = ranked()
    designs = names(rows)
    optimizer, _, _ = ranked({name: 0.9 if name == designs[5] else 0.5 for name in designs})
    proposals = optimizer.suggest(10)
    assert answer(proposals[0].design) == designs[5]
    assert sorted(answer(one.design) for one in proposals[:8]) == sorted(designs)
    assert all(TASK.space.check(one.design) == [] for one in proposals[8:]), "drawn at the end"


def test_equal_expectations_leave_the_cheapest_first(ranked):
    _, _, rows = ranked()
    optimizer, _, _ = ranked(dict.fromkeys(names(rows), 0.7))
    reward = TASK.scenario.objective.reward(
        np.zeros(len(rows)), prices(TASK.scenario, TASK.space, rows)
    )
    (first,) = optimizer.suggest(1)
    assert answer(first.design) == names(rows)[int(np.argmax(reward))]


def test_results_correct_what_is_expected_of_the_others(ranked):
    optimizer, _, rows = ranked(dict.fromkeys(names(ranked()[2]), 0.6))
    (first,) = optimizer.suggest(1)
    before = optimizer._belief().mean
    optimizer.update([found(first.design, measured(0.5))])
    after = optimizer._belief()
    tried = names(rows).index(answer(first.design))
    assert before == pytest.approx(0.6)
    assert after.mean[tried] == pytest.approx(0.5, abs=0.01)
    assert np.all(after.mean < 0.59), "all were expected too high together"
    assert np.all(np.delete(after.std, tried) > after.std[tried])


def test_a_model_that_is_not_held_to_the_design_is_refused(problem):
    class Free:
        def send(self, request):
            return Completion("I expect 50 %", "stop", {})

        def close(self):
            pass

    rows = buildable(problem, LOOKUP_TABLE, 8)
    weigher = Weigher(problem, SETTINGS, Client(SETTINGS.model, Free()), rows)
    said = (
        f"model m replied 'I expect 50 %' and was held to two decimals after {names(rows)[0]} acc"
    )
    with pytest.raises(UsageError, match=re.escape(said) + ".*only vLLM does that"):
        weigher.asked()


def test_a_dead_server_keeps_the_expectations_that_came_in(problem, held_model):
    class Dies(held_model):
        def send(self, request):
            if len(self.requests) == 3:
                raise SearchStopped("the server has died")
            return super().send(request)

    rows = buildable(problem, LOOKUP_TABLE, 8)
    weigher = Weigher(problem, SETTINGS, Client(SETTINGS.model, Dies()), rows)
    with pytest.raises(SearchStopped, match="the server has died") as stop:
        weigher.asked()
    assert [exchange.attempt for exchange in stop.value.exchanges] == [0, 1, 2]


def test_a_blind_task_has_no_costs_to_rank_by():
    blind = Task(scenario=TASK.scenario, space=TASK.space, told=False)
    screen = Evaluator(TASK.scenario, TASK.space, accuracy_of).screen
    with pytest.raises(UsageError, match="the task is blind"):
        buildable(Problem(blind, screen, seed=0), LOOKUP_TABLE, 8)


def test_a_task_whose_nearest_designs_all_fail_looks_further():
    (task,) = tasks("validation", 1, first=0)
    problem = Problem(task, Evaluator(task.scenario, task.space, accuracy_of).screen, seed=0)
    assert 0 < len(buildable(problem, LOOKUP_TABLE, 8)) <= 8


@pytest.mark.parametrize("off", ["value", "constrained"])
def test_it_cannot_do_without_an_expectation(off):
    with pytest.raises(ValidationError, match="leave value and constrained true"):
        Settings.model_validate(SETTINGS.model_dump() | {off: False})
