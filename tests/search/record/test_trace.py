"""Records of trials: what counts as feasible, and round trips through JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cim_sim.accuracy import Accuracy
from cim_sim.evaluate import Evaluation, Infeasible
from cim_sim.space import parse_design
from search.record.trace import UNTIMED, Exchange, Failure, Trial

DESIGN = parse_design("[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]", "x")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
shares = st.floats(0, 1)
accuracies = st.builds(
    Accuracy, mean=shares, std=shares, quantile_10=shares, draws=st.integers(2, 99),
    clean=st.none() | shares, predictive_std=st.none() | shares,
)  # fmt: skip
infeasible = st.builds(Infeasible, kind=st.sampled_from(["floorplan", "area"]), reason=texts)
evaluations = st.builds(
    Evaluation,
    design=st.just(DESIGN),
    scenario=texts,
    accuracy=st.none() | accuracies,
    reward=st.none() | st.floats(-9, 9),
    infeasible=st.none() | infeasible,
)
failures = st.builds(Failure, kind=st.sampled_from(["reply", "crash"]), message=texts)
outcomes = st.fixed_dictionaries({"design": st.just(DESIGN), "evaluation": evaluations}) | (
    st.fixed_dictionaries({"design": st.none() | st.just(DESIGN), "failure": failures})
)
trials = st.builds(
    lambda outcome, **fields: Trial(**outcome, **fields),
    outcomes,
    step=st.integers(0, 10**6),
    duplicate_of=st.none() | st.integers(0, 9),
    screened=st.integers(0, 9),
    started_at=texts,
    seconds=st.floats(0, 1e6),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)
exchanges = st.builds(
    Exchange,
    step=st.integers(0, 9),
    attempt=st.integers(0, 9),
    request=st.dictionaries(texts, values, max_size=4),
    reply=st.none() | texts,
    started_at=texts,
    seconds=st.floats(0, 1e6),
)


@given(trials)
def test_a_trial_is_one_line_and_reads_back_equal(trial):
    line = trial.model_dump_json()
    assert "\n" not in line
    assert Trial.model_validate_json(line) == trial


@given(exchanges)
def test_an_exchange_keeps_every_field_of_the_request(exchange):
    line = exchange.model_dump_json()
    assert "\n" not in line
    assert Exchange.model_validate_json(line) == exchange


def test_what_has_no_reward_scores_minus_one():
    at = {"step": 0, "started_at": "", "seconds": 0}
    good = Evaluation(design=DESIGN, scenario="s", reward=-1.5)
    bad = Evaluation(design=DESIGN, scenario="s", infeasible=Infeasible(kind="area", reason="r"))
    crash = Failure(kind="crash", message="m")
    trials = [
        Trial(**at, design=DESIGN, evaluation=good),
        Trial(**at, design=DESIGN, evaluation=bad),
        Trial(**at, design=DESIGN, failure=crash),
    ]
    assert [one.score for one in trials] == [-1.5, -1, -1]
    assert [one.feasible for one in trials] == [True, False, False]


def test_a_trial_has_either_an_evaluation_or_a_failure():
    at = {"step": 0, "started_at": "", "seconds": 0, "design": DESIGN}
    good = Evaluation(design=DESIGN, scenario="s", reward=0.5)
    crash = Failure(kind="crash", message="m")
    for outcomes in ({}, {"evaluation": good, "failure": crash}):
        with pytest.raises(ValidationError, match="step 0: a trial has either"):
            Trial(**at, **outcomes)
    with pytest.raises(ValidationError, match="the evaluation is of another design"):
        Trial(**{**at, "design": None}, evaluation=good)


def test_untimed_names_all_that_a_resumed_run_may_change():
    assert UNTIMED.keys() <= Trial.model_fields.keys()
    assert UNTIMED.keys() <= Exchange.model_fields.keys()
