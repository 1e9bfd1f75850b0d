"""Algorithm 2: the order of work, what costs an episode, screening, replay."""

import re
import shutil
from itertools import chain, islice, repeat
from types import SimpleNamespace

import pytest

from cim_sim.config import UsageError
from cim_sim.space import parse_design
from search.evaluators import digests
from search.llm.model import ModelConfig
from search.loop import PATIENCE, Search
from search.proposal import Proposal, SearchStopped
from search.record.runs import open_run, read_run
from search.record.trace import Exchange, Failure

GOOD = [parse_design(f"[[{c},3],[{c},3],[64,3],[64,3],[128,3],[128,3]]", "x") for c in (32, 48, 64)]
NARROW = parse_design("[[16,3],[16,3],[16,3],[16,3],[16,3],[16,3]]", "narrow")
OUTSIDE = parse_design("[[33,3],[32,3],[64,3],[64,3],[128,3],[128,3]]", "outside")
RUBBISH = Failure(kind="reply", message="no JSON in the reply")


NARROW_SPACE = {"name": "narrow", "channels": [16, 32], "kernels": [3], "layers": 6}
"""Few designs, many of them infeasible: duplicates and screening happen."""


MODES = [{"batch": batch, "screen": screen} for batch in (1, 4) for screen in (0, 6)]


def digests_of(config):
    return digests(config.scenario, config.space, config)


class Scripted:
    """Proposes a list, and remembers what it was told."""

    def __init__(self, script):
        self._script, self.told = chain(script, repeat(NARROW)), []

    def suggest(self, count):
        return [one if isinstance(one, Proposal) else Proposal(one) for one in self._next(count)]

    def _next(self, count):
        return list(islice(self._script, count))

    def update(self, trials):
        self.told.append(trials)


class Counting:
    """An accuracy source that remembers the questions."""

    def __init__(self, source):
        self.source, self.asked = source, []

    def __call__(self, queries):
        self.asked += queries
        return self.source(queries)


@pytest.fixture
def search(tmp_path, config, judge):
    """Run a script to the end of its budget; returns trials, what was told, what was asked."""

    def run(script, resume=False, source=None, **changes):
        wanted = config(**{"episodes": changes.pop("episodes", None) or len(script), **changes})
        evaluator = judge(wanted)
        counting = Counting(source or evaluator.accuracy)
        optimizer = script if isinstance(script, Scripted) else Scripted(script)
        with open_run(tmp_path / "run", wanted, digests_of(wanted), resume) as run:
            try:
                Search(run, optimizer, judge(wanted, counting)).to_the_end(lambda trial: None)
            finally:
                trials = run.trials.records
        return trials, optimizer.told, counting.asked

    return run


def test_each_proposal_costs_an_episode(search):
    script = [GOOD[0], NARROW, Proposal(failure=RUBBISH), GOOD[0], OUTSIDE, NARROW]
    trials, told, asked = search(script)
    assert [one.step for one in trials] == [0, 1, 2, 3, 4, 5]
    assert [one.feasible for one in trials] == [True, False, False, True, False, False]
    assert trials[0].evaluation.reward > -1
    assert trials[1].evaluation.infeasible.kind == "floorplan"
    assert trials[2].failure == RUBBISH
    assert trials[3].evaluation == trials[0].evaluation
    assert [one.duplicate_of for one in trials] == [None, None, None, 0, None, 1]
    assert trials[4].failure.kind == "reply"
    assert "layer 1: channels 33 not in" in trials[4].failure.message
    assert len(asked) == 1, "only the first feasible design is trained"
    assert told == [[one] for one in trials[:-1]]


def test_an_infeasible_area_is_never_trained(search, config):
    tight = {**config().scenario.model_dump(exclude_none=True), "limits": {"area_um2": 1.0}}
    trials, _, asked = search(GOOD, scenario=tight)
    assert [one.evaluation.infeasible.kind for one in trials] == ["area"] * 3
    assert asked == []


def test_duplicates_inside_a_batch_are_evaluated_once(search):
    trials, told, asked = search([GOOD[0], GOOD[1], GOOD[0], GOOD[0], GOOD[1]], batch=4)
    assert [one.duplicate_of for one in trials] == [None, None, 0, 0, 1]
    assert len(asked) == 2
    assert told == [trials[:4]]


def failing(source, *bad):
    """Make an accuracy source that crashes on designs whose first layer is that wide."""

    def answer(queries):
        for query in queries:
            if query.layers[0].channels * 4 in bad:
                raise ValueError("weights became NaN")
        return source(queries)

    return answer


def test_a_crash_is_a_trial_and_spares_the_rest_of_its_batch(search, accuracy):
    trials, told, _ = search([*GOOD, GOOD[1]], batch=4, source=failing(accuracy, 48))
    assert [one.feasible for one in trials] == [True, False, True, False]
    assert trials[1].failure == Failure(kind="crash", message="ValueError: weights became NaN")
    assert trials[1].design == GOOD[1]
    assert trials[1].evaluation is None
    assert told == []


def test_a_crashed_design_may_be_tried_again(search, accuracy):
    sources = [accuracy, failing(accuracy, 48)]

    def better_later(queries):
        return sources.pop()(queries)

    trials, _, _ = search([GOOD[1], GOOD[1]], source=better_later)
    assert [one.feasible for one in trials] == [False, True]
    assert trials[1].duplicate_of is None


def test_ten_failures_in_a_row_end_the_run(search, tmp_path):
    rubbish = Proposal(failure=RUBBISH)
    script = [rubbish] * 9 + [GOOD[0]] + [rubbish] * 11
    with pytest.raises(SearchStopped, match="10 failures in a row; the last: reply: no JSON"):
        search(script)
    assert len(read_run(tmp_path / "run").trials) == 20


def test_a_run_that_ran_out_of_patience_goes_on_until_the_next_failure(search, tmp_path):
    rubbish = Proposal(failure=RUBBISH)
    script = [rubbish] * 10 + [GOOD[0], rubbish, rubbish]
    with pytest.raises(SearchStopped):
        search(script)
    trials, _, _ = search(script, resume=True)
    assert [one.feasible for one in trials] == [False] * 10 + [True, False, False]


def test_infeasible_designs_are_no_failures(search):
    trials, _, _ = search([NARROW] * (PATIENCE + 2))
    assert len(trials) == PATIENCE + 2


def test_screening_passes_over_what_is_infeasible_or_known(search):
    script = [NARROW, GOOD[0], GOOD[0], NARROW, GOOD[1], GOOD[1], NARROW, NARROW, NARROW]
    trials, told, asked = search(script, episodes=3, screen=3)
    assert [one.design for one in trials] == [GOOD[0], GOOD[1], NARROW]
    assert [one.screened for one in trials] == [1, 2, 2]
    assert len(asked) == 2
    assert [(one.step, one.design, one.feasible) for batch in told for one in batch] == [
        (0, NARROW, False), (0, GOOD[0], True), (1, GOOD[0], True), (1, NARROW, False),
        (1, GOOD[1], True), (2, GOOD[1], True), (2, NARROW, False),
    ]  # fmt: skip
    assert told[0][0].evaluation.infeasible.kind == "floorplan"
    assert told[2][0].duplicate_of == 0


def test_screening_a_batch_keeps_the_order(search):
    script = [NARROW, GOOD[0], GOOD[0], GOOD[1], NARROW, NARROW, NARROW, GOOD[2]]
    trials, told, _ = search(script, episodes=3, screen=8, batch=4)
    assert [one.design for one in trials] == [GOOD[0], GOOD[1], GOOD[2]]
    assert [one.screened for one in trials] == [1, 1, 3]
    assert [one.step for one in told[0]] == [0, 0, 1, 1]
    assert told[0][2].evaluation == trials[0].evaluation


def test_what_an_optimiser_has_screened_itself_counts_as_passed_over(search):
    """Nobody gets more proposals for a slot than `screen`, however they are drawn."""
    script = [Proposal(NARROW, passed_over=1), GOOD[0], Proposal(NARROW, passed_over=2), GOOD[1]]
    trials, _, _ = search(script, episodes=3, screen=3)
    assert [one.design for one in trials] == [GOOD[0], NARROW, GOOD[1]]
    assert [one.screened for one in trials] == [2, 2, 0]


def test_a_failure_takes_its_slot_even_when_screened(search):
    trials, _, _ = search([Proposal(failure=RUBBISH), NARROW, GOOD[0]], episodes=2, screen=5)
    assert [one.failure for one in trials] == [RUBBISH, None]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_killed_run_goes_on_exactly(tmp_path, run_of, untimed, mode):
    """Whatever is left of the record, a torn line included, the end is that of one session."""
    changes = {**mode, "space": NARROW_SPACE, "episodes": 12}
    unbroken = run_of(tmp_path / "a", **changes)
    for kept in (0, 5, 11):
        broken = shutil.copytree(tmp_path / "a", tmp_path / str(kept))
        file = broken / "trials.jsonl"
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(lines[:kept]) + lines[kept][:40])
        again = run_of(broken, resume=True, **changes)
        assert untimed(again) == untimed(unbroken)
        assert file.read_bytes().splitlines(keepends=True)[:kept] == lines[:kept]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_raised_budget_is_the_longer_run(tmp_path, run_of, untimed, mode):
    changes = {**mode, "space": NARROW_SPACE}
    whole = run_of(tmp_path / "a", **changes, episodes=24)
    run_of(tmp_path / "b", **changes, episodes=7)
    raised = run_of(tmp_path / "b", **changes, episodes=24, resume=True)
    assert untimed(raised) == untimed(whole)


def test_replay_that_differs_is_refused(search):
    search([GOOD[0], GOOD[1]])
    with pytest.raises(UsageError) as refused:
        search([GOOD[0], GOOD[2], GOOD[1]], resume=True)
    message = str(refused.value)
    assert message.startswith("step 1 cannot be replayed: the optimiser now proposes [[64, 3],")
    assert "but [[48, 3]," in message


def test_a_refused_replay_leaves_the_manifest_as_it_was(run_of, tmp_path):
    run_of(tmp_path / "run", episodes=3)
    trials, manifest = tmp_path / "run" / "trials.jsonl", tmp_path / "run" / "manifest.json"
    config = tmp_path / "run" / "config.yaml"
    # Its first two designs: that of the trial and that of its evaluation.
    first = re.search(r'"layers":\[\[\d+,(\d+)', text := trials.read_text())
    other = first[0].removesuffix(first[1]) + ("3" if first[1] == "1" else "1")
    trials.write_text(text.replace(first[0], other, 2))
    before = manifest.read_bytes(), config.read_bytes()
    with pytest.raises(UsageError, match="step 0 cannot be replayed"):
        run_of(tmp_path / "run", episodes=4, resume=True)
    assert (manifest.read_bytes(), config.read_bytes()) == before, "the budget too"


def test_a_finished_run_is_not_taken_for_one_of_a_model_that_came_in_its_place(
    run_of, tmp_path, monkeypatch
):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"trained anew")
    run_of(tmp_path / "run", episodes=3)
    asked = SimpleNamespace(model=ModelConfig(name="local", path=tmp_path / "model"))
    monkeypatch.setattr("search.execute.asked_by", lambda config: asked)
    with pytest.raises(UsageError, match=r"begun with something else:\n  model.weights: None is"):
        run_of(tmp_path / "run", episodes=3, resume=True)
    asked.model = ModelConfig(name="local", path=tmp_path / "gone")
    assert len(run_of(tmp_path / "run", episodes=3, resume=True)) == 3


def test_exchanges_are_on_disk_before_the_trial(search, tmp_path):
    exchange = Exchange(step=0, attempt=0, request={}, reply="x", started_at="t", seconds=1)

    def interrupted(queries):
        assert (tmp_path / "run" / "exchanges.jsonl").read_text().count("\n") == 1
        raise KeyboardInterrupt

    script = [Proposal(GOOD[0], exchanges=(exchange,)), GOOD[1]]
    with pytest.raises(KeyboardInterrupt):
        search(script, source=interrupted)
    trials, _, _ = search(script, resume=True)
    assert [one.design for one in trials] == GOOD[:2]
    assert (tmp_path / "run" / "exchanges.jsonl").read_text().count("\n") == 1


def test_a_stop_keeps_the_exchanges_that_led_to_it(search, tmp_path):
    exchange = Exchange(step=0, attempt=0, request={}, error="500", started_at="t", seconds=1)

    class Dead(Scripted):
        def suggest(self, count):
            raise SearchStopped("the server died", (exchange,))

    with pytest.raises(SearchStopped, match="the server died"):
        search(Dead([]), episodes=2)
    assert '"error":"500"' in (tmp_path / "run" / "exchanges.jsonl").read_text()
