"""Which of several answers is proposed, and what a model thinks of its own."""

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


def problem(**limits):
    scenario = SCENARIO.model_copy(update={"limits": Limits(**limits)})
    task = Task(scenario=scenario, space=SPACE)
    return Problem(task, screen=lambda designs: screen(designs, scenario), seed=0)


def replied(text, logprob=None, expected=None):
    seen = {"logprob": logprob, "expected": expected}
    return Exchange(step=0, attempt=0, request={}, reply=text, **seen, **UNTIMED)


def said(design, logprob=None, expected=None):
    return Proposal(design, exchanges=(replied(answer(design), logprob, expected),))


def silent():
    exchange = Exchange(step=0, attempt=0, request={}, reply="", error="empty", **UNTIMED)
    return Proposal(failure=Failure(kind="reply", message="no design"), exchanges=(exchange,))


def test_known_and_infeasible_answers_are_passed_over():
    most = (PRICES[MIDDLE].area_um2 + PRICES[LARGE].area_um2) / 2
    asked, replies = problem(area_um2=most), [said(LARGE), said(MIDDLE), said(SMALL)]
    assert chosen(replies, asked, ()).design == MIDDLE
    assert chosen(replies, asked, {MIDDLE}).design == SMALL
    # When nothing is wanted there is still an answer, which costs an episode: rather a new one.
    assert chosen(replies[:2], asked, {MIDDLE}).design == LARGE
    assert chosen(replies[:1], asked, ()).design == LARGE


def test_the_likeliest_answer_is_proposed_with_the_exchanges_of_all():
    replies = [said(LARGE, -7.0), said(SMALL, -5.0), silent(), said(MIDDLE, -6.0)]
    best = chosen(replies, problem(), ())
    assert best.design == SMALL
    assert (len(best.exchanges), best.passed_over) == (4, 3)


def test_where_all_are_too_large_the_least_so_goes_on():
    """What is proposed stands in the next prompt, and a model stays near what it sees."""
    asked = problem(area_um2=PRICES[SMALL].area_um2 / 2)
    replies = [said(LARGE, -1.0), said(MIDDLE, -2.0), said(SMALL, -3.0)]
    assert chosen(replies, asked, ()).design == SMALL
    assert chosen(replies, asked, {SMALL}).design == MIDDLE


def test_an_answer_that_expects_to_fail_the_least_accuracy_comes_after_one_that_does_not():
    bar = Limits(accuracy=0.5).accuracy_bar
    replies = [said(LARGE, -1.0, bar - 0.02), said(MIDDLE, -3.0, bar), said(SMALL, -2.0, bar + 0.1)]
    assert chosen(replies, problem(accuracy=0.5), ()).design == SMALL
    assert chosen(replies, problem(), ()).design == LARGE
    low = [said(LARGE, -1.0, bar - 0.1), said(MIDDLE, -3.0, bar - 0.01)]
    assert chosen(low, problem(accuracy=0.5), ()).design == MIDDLE


def test_of_a_blind_task_no_limit_is_used_but_whether_one_fails_is_free():
    asked = problem(area_um2=(PRICES[MIDDLE].area_um2 + PRICES[LARGE].area_um2) / 2, accuracy=0.9)
    task = asked.task.model_copy(update={"told": False})
    blind = Problem(task, asked.screen, seed=0)
    replies = [said(LARGE, -1.0, 0.9), said(MIDDLE, -2.0, 0.1), said(SMALL, -3.0, 0.9)]
    assert chosen(replies, blind, ()).design == MIDDLE


def test_only_when_no_answer_is_a_design_the_slot_is_lost():
    assert chosen([silent(), said(SMALL)], problem(), ()).design == SMALL
    lost = chosen([silent(), silent()], problem(), ())
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
    _, *digits = weighed
    assert expected_accuracy(digits, "[] accuracy 0.") == expected_accuracy(weighed)
    assert expected_accuracy(digits) is None
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
