"""A search of the user's own: every generic optimiser, a Python function, and what it may say."""

import sys

import numpy as np
import pytest

from cim_sim.config import UsageError, parse
from search.commands.run import run
from search.evaluators.function import function_of
from search.evaluators.own import BadAnswer, read_answer
from search.optimizers import OPTIMIZERS
from search.proposal import SearchStopped
from search.record.manifest import RunConfig
from search.record.runs import read_run

REPLIES = """\
{"tile":8,"dataflow":"ws","buffer":"small"}
I think that {'tile': 9.0, "buffer": "large", "dataflow": "os"} is better.
{"tile":9,"dataflow":"os","buffer":"large"}
{"tile":14,"dataflow":"os","buffer":"large"}
{"tile":99,"dataflow":"os","buffer":"large"}
no
"""
CHIPS_ONLY = (
    "boosted",
    "greybox",
    "informed",
    "lookup",
    "neighbours",
    "ranked",
    "surrogate",
    "warm",
    "gpt4-replay",
)
"""What knows networks on compute-in-memory chips; `warm` begins with `lookup` unless told."""
WITH_MODEL = {"ranked": {"model": {"name": "m", "model": "x"}}}
SMALL = {"genetic": {"population_size": 4}, "tpe": {"n_startup_trials": 4}}


@pytest.fixture(params=[name for name in OPTIMIZERS if name not in CHIPS_ONLY])
def arm(tmp_path, request):
    if request.param != "llm":
        return {"optimizer": request.param, "settings": SMALL.get(request.param, {})}
    (tmp_path / "replies.txt").write_text(REPLIES)
    model = {"name": "parrot", "script": str(tmp_path / "replies.txt")}
    return {"optimizer": "llm", "settings": {"model": model, "style": "dialogue"}}


def test_every_generic_optimiser_searches_and_resumes_exactly(own, arm, tmp_path, untimed):
    whole = untimed(own(tmp_path / "whole", **arm))
    own(tmp_path / "part", **{**arm, "episodes": 7})
    assert untimed(own(tmp_path / "part", resume=True, **arm)) == whole
    for trial in whole:
        assert trial.design is None or not read_run(tmp_path / "whole").config.space.check(
            trial.design
        )
    found = [trial.evaluation for trial in whole if trial.feasible]
    assert found
    assert all(one.measured == {"cycles": -64 * one.reward} for one in found)
    assert all(one.cost is None and one.accuracy is None for one in found)


@pytest.mark.parametrize("name", CHIPS_ONLY)
def test_what_knows_only_chips_refuses_in_one_sentence(own, name, tmp_path):
    with pytest.raises(UsageError, match="one layer is your own, and this optimiser asks"):
        own(tmp_path / "run", optimizer=name, settings=WITH_MODEL.get(name, {}))


def test_a_warm_start_of_generic_optimisers_is_one(own, tmp_path):
    settings = {"first": {"optimizer": "random"}, "then": {"optimizer": "tpe"}}
    assert len(own(tmp_path / "run", optimizer="warm", settings=settings)) == 12


def test_screening_asks_the_hook_and_spends_nothing_on_what_it_refuses(own, tmp_path):
    hook = {"python": "toy_array:evaluate", "screen": "toy_array:screen"}
    before = own(tmp_path / "open", episodes=20)
    after = own(tmp_path / "screened", episodes=20, screen=8, evaluator=hook)
    refused = [trial.evaluation.infeasible for trial in before if trial.evaluation.infeasible]
    assert {one.kind for one in refused} == {"own"}
    assert "tile 14 exceeds the buffer" in {one.reason for one in refused}
    assert all(trial.feasible for trial in after)
    assert any(trial.screened for trial in after)


def test_of_several_answers_of_a_model_one_that_the_hook_lets_pass_is_taken(own, tmp_path):
    (tmp_path / "replies.txt").write_text(REPLIES)
    model = {"name": "parrot", "script": str(tmp_path / "replies.txt")}
    hook = {"python": "toy_array:evaluate", "screen": "toy_array:screen"}
    settings = {"model": model, "style": "dialogue", "value": True, "similar": 4}
    trials = own(
        tmp_path / "run", optimizer="llm", settings=settings, screen=6, evaluator=hook, episodes=2
    )
    assert sorted(trial.score for trial in trials if trial.feasible) == [-4.0, 0.0]
    assert all(trial.screened for trial in trials)


def test_reinforce_ranks_what_is_infeasible_below_all_it_has_seen(own, tmp_path, monkeypatch):
    seen = []
    learn = "search.optimizers.reinforce.Reinforce._learn"
    monkeypatch.setattr(learn, lambda self: (seen.extend(self._episodes), self._episodes.clear()))
    trials = own(tmp_path / "run", optimizer="reinforce", episodes=41)
    scores = dict(zip([trial.step for trial in trials], [score for _, score in seen], strict=False))
    worst = -1.0
    for trial in trials[: len(scores)]:
        worst = min(worst, trial.score) if trial.feasible else worst
        assert scores[trial.step] == (trial.score if trial.feasible else worst)
    assert worst < -5


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("1 / 0", r"Raised: ZeroDivisionError: division by zero \(bad_toy.py:2\)"),
        ("raise SystemExit(2)", "Raised: SystemExit: 2"),
        ("return 3", "BadAnswer: 3 is no answer: .*expected an object like"),
        ("return {'reward': 1e300}", "BadAnswer: .*reward Input should be less than or equal to"),
        (
            "return {'infeasible': 'x' * 10**6}",
            "BadAnswer: .*infeasible String should have at most",
        ),
        (
            "return {'reward': 1, 'measured': {'\\ud800': 1}}",
            "BadAnswer: .*measured.*unicode string",
        ),
        ("return {}", "BadAnswer: neither a reward nor why there is none; expected an object like"),
        ("return {'reward': float('nan')}", "BadAnswer: .*reward Input should be a finite"),
        ("return {'reward': 1, 'infeasible': 'x'}", "a reward or why it is infeasible, not both"),
        ("return {'rewards': 1}", "rewards Extra inputs"),
        ("return {'reward': 1, 'measured': {'mode': 'a'}}", "measured.mode"),
    ],
)
def test_what_is_no_answer_is_a_crash_that_says_why(own, tmp_path, monkeypatch, body, message):
    (tmp_path / "bad_toy.py").write_text(f"def evaluate(design, facts, seed):\n    {body}\n")
    monkeypatch.delitem(sys.modules, "bad_toy", raising=False)
    with pytest.raises(SearchStopped, match=f"10 failures in a row; the last: crash: .*{message}"):
        own(tmp_path / "run", evaluator={"python": "bad_toy:evaluate"})
    failures = [trial.failure for trial in read_run(tmp_path / "run").trials]
    assert [failure.kind for failure in failures] == ["crash"] * 10


def test_a_timeout_is_one_and_the_seed_reaches_the_function(own, tmp_path):
    (tmp_path / "late_toy.py").write_text(
        "def evaluate(design, facts, seed):\n"
        "    if design['tile'] > 8:\n"
        "        raise TimeoutError(f'seed {seed} takes too long')\n"
        "    return {'reward': seed}\n"
    )
    trials = own(tmp_path / "run", evaluator={"python": "late_toy:evaluate"}, accuracy_seed=3)
    assert {trial.failure.message for trial in trials if trial.failure} == {
        "TimeoutError: seed 3 takes too long"
    }
    assert {trial.failure.kind for trial in trials if trial.failure} == {"timeout"}
    assert {trial.score for trial in trials if trial.feasible} == {3.0}


def test_numbers_of_numpy_are_numbers():
    answer = read_answer({"reward": np.float32(0.5), "measured": {"cycles": np.int64(7)}})
    assert (answer.reward, answer.measured) == (0.5, {"cycles": 7.0})
    with pytest.raises(BadAnswer, match="infeasible"):
        read_answer({"infeasible": ""})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_toy:f", "no_such_toy cannot be imported: ModuleNotFoundError.*current directory"),
        ("math:sqr", "no function sqr in math; did you mean sqrt?"),
    ],
)
def test_a_function_that_is_not_there_is_one_clear_error(name, message):
    with pytest.raises(UsageError, match=message):
        function_of(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"evaluator": "surrogate"},
            r"is your own, which evaluator surrogate cannot judge; .* that you give with --config",
        ),
        ({"evaluator": {"python": "toy_array"}}, "python: expected package.module:function, found"),
        ({"evaluator": {"command": ""}}, "evaluator.*command"),
        ({"space": "configs/spaces/embedded.yaml"}, "the scenario is your own, so the space must"),
        (
            {"scenario": "configs/scenarios/embedded-energy.yaml"},
            "the space is your own, so the scenario must be too",
        ),
    ],
)
def test_a_problem_that_does_not_fit_its_evaluator_is_refused(own, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        own(tmp_path / "run", **changes)


def test_an_own_evaluator_judges_no_chip(config):
    with pytest.raises(UsageError, match="evaluator python a:b is your own, and judges only"):
        parse({**config().model_dump(mode="json"), "evaluator": {"python": "a:b"}}, RunConfig, "x")


def test_another_version_of_an_evaluator_goes_on_with_no_run(own, tmp_path):
    own(tmp_path / "run", episodes=2)
    changed = {"python": "toy_array:evaluate", "version": "2"}
    with pytest.raises(UsageError, match="evaluator"):
        own(tmp_path / "run", episodes=4, evaluator=changed, resume=True)


def test_a_run_directory_alone_does_not_say_what_code_is_run(own, tmp_path):
    """It may be a stranger's: whoever resumes names the evaluator too."""
    own(tmp_path / "run", episodes=2)
    config = tmp_path / "mine.yaml"
    config.write_bytes((tmp_path / "run" / "config.yaml").read_bytes())
    with pytest.raises(UsageError, match="is run only where you name it too: add --config FILE"):
        run(out=tmp_path / "run", resume=True)
    assert run(out=tmp_path / "run", resume=True, config=config) == 0
