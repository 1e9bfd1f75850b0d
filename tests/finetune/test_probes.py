"""Probes: clear questions, half of them won by the larger kernel, so that no fixed rule scores."""

import pytest

from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.evaluate import Evaluator
from finetune import probes
from finetune.probes import CLEAR, ask, balanced


@pytest.fixture(scope="module")
def asked(tasks):
    return balanced(tasks[:5], 6)


def test_questions_are_clear_and_differ_in_one_kernel(asked, tasks):
    assert [question.larger_wins for question in asked] == [True] * 3 + [False] * 3
    assert asked == balanced(tasks[:5], 6)
    for question in asked:
        pairs = zip(question.smaller.layers, question.larger.layers, strict=True)
        ((small, large),) = [(a, b) for a, b in pairs if a != b]
        assert small.channels == large.channels
        assert small.kernel < large.kernel
        judge = Evaluator(question.task.scenario, question.task.space, surrogate.load().answer)
        low, high = judge.evaluate([question.smaller, question.larger])
        assert (high.score - low.score >= CLEAR) == question.larger_wins


@pytest.mark.parametrize("larger", [True, False])
def test_a_fixed_rule_scores_one_half(asked, base, monkeypatch, larger):
    monkeypatch.setattr(probes, "_prefers_larger", lambda *question: larger)
    beliefs = ask(*base, asked)
    interval = beliefs.balanced
    assert (interval.mean, interval.low, interval.high) == (0.5, 0.5, 0.5)
    assert (beliefs.right_where_larger_wins, beliefs.right_where_smaller_wins) == (
        larger,
        1 - larger,
    )


def test_a_model_is_asked_by_its_likelihoods(asked, base):
    beliefs = ask(*base, asked)
    assert beliefs.questions == 6
    assert beliefs.balanced.low <= beliefs.balanced.mean <= beliefs.balanced.high
    assert beliefs == ask(*base, asked)
