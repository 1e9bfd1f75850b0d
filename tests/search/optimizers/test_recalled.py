"""What `lookup` would propose is put before a model, which says what it expects of it."""

import re

import pytest
from pydantic import ValidationError

from cim_sim.evaluate import Evaluator
from search.llm.client import Client, Completion
from search.llm.model import ModelConfig
from search.llm.prompt import answer, answer_regex
from search.llm.reply import parse_reply
from search.optimizers.llm import LlmOptimizer, Settings
from search.optimizers.lookup import known_designs
from search.proposal import Problem
from search.record.lookup import LOOKUP_TABLE
from search.record.tasks import Task
from search.record.trace import UNTIMED, Trial
from search.study.family import tasks

MODEL = ModelConfig(name="m", model="x", concurrency=4)
SETTINGS = Settings(
    model=MODEL, style="dialogue", similar=2, constrained=True, value=True, recalled=3
)
(TASK,) = tasks("validation", 1, first=2)
OWN = TASK.space.decode([0] * len(TASK.space.parameters))


class Held:
    """Writes what it is held to, or a design of its own; expects most of the last one recalled."""

    def __init__(self, expected):
        self.requests, self.expected = [], expected

    def send(self, request):
        self.requests.append(request)
        regex = request["structured_outputs"]["regex"]
        given = [one for one in self.expected if re.fullmatch(regex, said(one, 0.5))]
        design = OWN if len(given) != 1 else given[0]
        text = said(design, self.expected.get(design, 0.1))
        assert re.fullmatch(regex, text)
        return Completion(text, "stop", {})

    def close(self):
        pass


def said(design, accuracy):
    return f"{answer(design)} accuracy {accuracy:.2f}"


def problem(task=TASK, draws=5):
    judge = Evaluator(task.scenario, task.space, lambda queries: [])
    return Problem(task, judge.screen, seed=3, draws=draws)


def asked(settings=SETTINGS, task=TASK, draws=5, expected=()):
    asks = problem(task, draws)
    model = Held(dict(expected))
    llm = LlmOptimizer(asks, settings, Client(settings.model, model))
    return llm, model, asks


def feasible_for_free(asks, count=64):
    designs = known_designs(asks.task, LOOKUP_TABLE, count)
    return [one.design for one in asks.screen(designs) if one.infeasible is None]


def held_to(request):
    """The design that a request leaves no choice but to write; None where the model proposes."""
    regex = request["structured_outputs"]["regex"]
    if regex == answer_regex(TASK.space, value=True):
        return None
    text = re.sub(r"\\(.)", r"\1", regex.partition(" accuracy")[0])
    return parse_reply(text, TASK.space)


def test_the_next_designs_of_lookup_are_weighed_beside_the_models_own():
    known = feasible_for_free(problem())
    llm, model, asks = asked(expected={one: 0.2 + 0.1 * i for i, one in enumerate(known[:6])})
    (first,) = llm.suggest(1)
    assert [held_to(request) for request in model.requests] == [None, None, *known[:3]]
    assert len({str(request["messages"]) for request in model.requests}) == 1
    assert (len(first.exchanges), first.passed_over) == (5, 4)
    assert first.design in known[:3]
    (evaluation,) = asks.screen([first.design])
    llm.update([Trial(step=0, **UNTIMED, design=first.design, evaluation=evaluation)])
    llm.suggest(1)
    assert [held_to(request) for request in model.requests[5:]] == [None, None, *known[3:6]]


def test_a_batch_puts_every_design_before_the_model_once():
    known = feasible_for_free(problem())
    llm, model, _ = asked(expected=dict.fromkeys(known[:6], 0.5))
    llm.suggest(2)
    given = [one for request in model.requests if (one := held_to(request))]
    assert sorted(map(answer, given)) == sorted(map(answer, known[:6]))


def test_without_screening_or_for_a_blind_task_the_model_proposes_alone():
    blind = Task(scenario=TASK.scenario, space=TASK.space, told=False)
    for task, draws in ((TASK, 1), (blind, 5)):
        llm, model, _ = asked(task=task, draws=draws)
        llm.suggest(1)
        assert [held_to(request) for request in model.requests] == [None] * draws


def test_one_proposal_at_least_is_the_models_own():
    known = feasible_for_free(problem())
    settings = SETTINGS.model_copy(update={"recalled": 9})
    llm, model, _ = asked(settings, expected=dict.fromkeys(known[:4], 0.5))
    llm.suggest(1)
    assert [held_to(request) for request in model.requests] == [None, *known[:4]]


@pytest.mark.parametrize("missing", ["value", "constrained"])
def test_a_model_that_cannot_say_what_it_expects_is_not_asked(missing):
    settings = SETTINGS.model_dump() | {missing: False}
    with pytest.raises(ValidationError, match="recalled: needs value: true and constrained: true"):
        Settings.model_validate(settings)
