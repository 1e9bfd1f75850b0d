"""Which of several answers is proposed: new, feasible, of the best expected reward."""

import re
from math import log

import pytest

from cim_sim.evaluate import Evaluation, screen
from cim_sim.hardware import FixedHardware
from cim_sim.scenario import EnergyObjective, Limits, Scenario
from cim_sim.space import Space
from cim_sim.variation import Variation
from search.llm import dialogue
from search.llm.choice import chosen
from search.llm.foreseen import Token, expectation, expected_accuracy, likelihood
from search.llm.history import entry
from search.llm.prompt import answer, answer_regex, render
from search.llm.reply import parse_reply
from search.proposal import Problem, Proposal
from search.record.tasks import Task
from search.record.trace import UNTIMED, Exchange, Failure

SPACE = Space(name="e", channels=(16, 64, 128), kernels=(1, 3))
SCENARIO = Scenario(
    name="s",
    hardware=FixedHardware(subarray=128, cell_bits=2, adc_levels=32, mapping="conventional"),
    variation=Variation(sigma=0.05),
    objective=EnergyObjective(metric="energy", normaliser_pj=1e9),
)
SMALL, MIDDLE, LARGE = (SPACE.decode([size, 1] * 6) for size in (0, 1, 2))
PRICES = {design: one.cost for design, one in zip((SMALL, MIDDLE, LARGE), screen(
    [SMALL, MIDDLE, LARGE], SCENARIO), strict=True)}  # fmt: skip


def problem(*, told=True, **limits):
    scenario = SCENARIO.model_copy(update={"limits": Limits(**limits)})
    task = Task(scenario=scenario, space=SPACE, told=told)
    return Problem(task, screen=lambda designs: screen(designs, scenario), seed=0)


def replied(text, logprob=None):
    return Exchange(step=0, attempt=0, request={}, reply=text, logprob=logprob, **UNTIMED)


def said(design, accuracy=None, logprob=None):
    reply = answer(design) + (f" {dialogue.expected(accuracy)}" if accuracy is not None else "")
    return Proposal(design, exchanges=(replied(reply, logprob),))


def silent():
    exchange = Exchange(step=0, attempt=0, request={}, reply="", error="empty", **UNTIMED)
    return Proposal(failure=Failure(kind="reply", message="no design"), exchanges=(exchange,))


def test_the_best_by_expected_accuracy_and_exact_cost_is_proposed():
    replies = [said(SMALL, 0.40), said(MIDDLE, 0.62), said(LARGE, 0.63), silent()]
    worth = {
        design: SCENARIO.objective.reward(accuracy, PRICES[design])
        for design, accuracy in ((SMALL, 0.40), (MIDDLE, 0.62), (LARGE, 0.63))
    }
    best = chosen(replies, problem(), (), value=True)
    assert best.design == max(worth, key=worth.__getitem__)
    assert len(best.exchanges) == 4


def test_known_and_infeasible_answers_are_passed_over():
    most = (PRICES[MIDDLE].area_um2 + PRICES[LARGE].area_um2) / 2
    asked, replies = problem(area_um2=most), [said(LARGE, 0.9), said(MIDDLE, 0.8), said(SMALL, 0.1)]
    assert chosen(replies, asked, (), value=True).design == MIDDLE
    assert chosen(replies, asked, {MIDDLE}, value=True).design == SMALL
    # When nothing is wanted there is still an answer, which costs an episode: rather a new one.
    assert chosen(replies[:2], asked, {MIDDLE}, value=True).design == LARGE
    assert chosen(replies[:1], asked, (), value=True).design == LARGE


def test_an_answer_expected_to_miss_the_least_accuracy_comes_last():
    asked = problem(accuracy=0.5)
    assert chosen([said(SMALL, 0.45), said(LARGE, 0.7)], asked, (), value=True).design == LARGE


def test_several_expectations_of_one_design_are_averaged():
    asked = problem(accuracy=0.5)
    replies = [said(SMALL, 0.9), said(SMALL, 0.1), said(LARGE, 0.7)]
    assert chosen(replies, asked, (), value=True).design == LARGE


@pytest.mark.parametrize(("told", "value"), [(True, False), (False, True)])
def test_without_values_and_in_blind_tasks_the_likeliest_answer_is_proposed(told, value):
    replies = [said(LARGE, 0.9, -7.0), said(SMALL, 0.1, -5.0), said(MIDDLE, 0.9, -6.0)]
    assert chosen(replies, problem(told=told), (), value=value).design == SMALL


def test_only_when_no_answer_is_a_design_the_slot_is_lost():
    assert chosen([silent(), said(SMALL)], problem(), (), value=False).design == SMALL
    lost = chosen([silent(), silent()], problem(), (), value=False)
    assert lost.failure is not None
    assert lost.failure.kind == "reply"
    assert len(lost.exchanges) == 2


def test_an_answer_says_the_accuracy_that_a_dialogue_asks_for():
    (free,) = screen([SMALL], SCENARIO)
    history = [entry(Evaluation.model_validate({**free.model_dump(), **measured(0.5251)}))]
    first, turn, _ = render(SCENARIO, SPACE, history, "dialogue", value=True)
    assert first["content"].endswith("\nAdd the accuracy that you expect.")
    assert turn["content"] == f"{answer(SMALL)} accuracy 0.53"
    assert expectation(replied(turn["content"])) == 0.53
    assert parse_reply(turn["content"], SPACE) == SMALL
    # What was never measured has none.
    assert render(SCENARIO, SPACE, [entry(free)], "dialogue", value=True)[1]["content"] == (
        answer(SMALL)
    )


def measured(mean):
    values = {"mean": mean, "std": 0.0, "quantile_10": mean, "draws": 1, "clean": None}
    return {"accuracy": values, "reward": 0.1}


@pytest.mark.parametrize(("accuracy", "text"), [(0.0, "0.00"), (0.999, "0.99"), (1.0, "0.99")])
def test_an_expected_accuracy_always_fits_the_form(accuracy, text):
    said = f"{answer(SMALL)} {dialogue.expected(accuracy)}"
    assert said.endswith(f"accuracy {text}")
    assert re.fullmatch(answer_regex(SPACE, value=True), said)
    assert not re.fullmatch(answer_regex(SPACE), said)


def spelt(text, *, tenths, hundredths):
    """Tokens of a reply: the text, then two digits with how the model weighed the alternatives."""
    digits = [
        Token(max(weights, key=weights.get), -0.5, {k: log(v) for k, v in weights.items()})
        for weights in (tenths, hundredths)
    ]
    return [Token(text, -1.0, {}), *digits, Token("<|im_end|>", -0.1, {})]


def test_the_mean_over_the_digits_is_expected_and_not_the_one_that_was_drawn():
    weighed = spelt("[] accuracy 0.", tenths={"5": 0.6, "4": 0.2, " ": 0.2}, hundredths={"3": 1.0})
    assert expected_accuracy(weighed) == pytest.approx((0.6 * 5 + 0.2 * 4) / 0.8 / 10 + 0.03)
    exchange = replied("[] accuracy 0.53")
    assert expectation(exchange) == 0.53
    assert expectation(exchange.model_copy(update={"expected": 0.505})) == 0.505


def test_how_likely_a_design_is_leaves_out_the_accuracy_that_follows():
    tokens = [Token(text, logprob, {}) for text, logprob in (("[[", -1.0), ("]]", -2.0))]
    assert likelihood(tokens) == -3.0
    assert likelihood([*tokens, Token(" accuracy", -0.5, {}), Token(" 0", -4.0, {})]) == -3.0
    assert likelihood([]) is None


def test_what_does_not_end_with_two_digits_of_an_accuracy_has_no_expectation():
    assert expected_accuracy([]) is None
    other = spelt("[] energy 0.", tenths={"5": 1.0}, hundredths={"3": 1.0})
    assert expected_accuracy(other) is None
    words = ("[] accuracy 0", ".", "53")
    joined = [Token(word, 0.0, {word: 0.0}) for word in words]
    assert expected_accuracy(joined) is None
