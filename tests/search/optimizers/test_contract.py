"""What every optimiser must do, whatever it is."""

import re

import pytest

from cim_sim.config import UsageError
from search.evaluators import digests
from search.execute import resolved
from search.landscape import Effort
from search.optimizers import OPTIMIZERS
from search.record.runs import open_run, read_run
from search.record.trace import Trial

EPISODES = 9
REPLIES = """\
[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]
Larger kernels see more: [[64,5],[64,5],[64,5],[96,5],[128,5],[128,5]]
I cannot help with that.
[[48,3],[48,3],[64,3],[64,1],[128,3],[128,3]]
[[32,3],[32,3],[64,3],[64,3],[128,3]]
"""
LCDA = {"space": "configs/spaces/lcda.yaml"}
FIXED = ("llm", "gpt4-replay")
"""Optimisers whose answers are written down here or in the sources."""
SEEDLESS = ("boosted", "gpt4-replay", "lookup", "neighbours", "ranked", "surrogate")
"""Those that draw nothing, or end at the same best designs whatever they draw."""
GREYBOX = {"n_startup_trials": 6, "pool": 100, "climbs": 2, "rounds": 1}
SETTINGS = {
    "genetic": {"population_size": 4},
    "tpe": {"n_startup_trials": 4},
    "greybox": GREYBOX,
    "neighbours": {"tasks": 3, "first": 3},
    "informed": {"pool": 50},
    "ranked": {"model": {"name": "held", "model": "x", "base_url": "http://x/v1"}, "recalled": 6},
    "warm": {"episodes": 5, "then": {"settings": GREYBOX}},
}
"""Small ones, with which every part of an optimiser has its turn within `EPISODES`."""


def digests_of(config):
    return digests(config.scenario, config.space, config)


@pytest.fixture(autouse=True)
def _little_effort(monkeypatch):
    """An evolution that is short, but reaches the same machinery."""
    effort = Effort(start=200, rounds=3, children=50, parents=20)
    monkeypatch.setattr("search.optimizers.surrogate.EFFORT", effort)


@pytest.fixture(autouse=True)
def _held(monkeypatch, held):
    """`ranked` asks a model that writes what it is held to."""
    monkeypatch.setattr("search.optimizers.ranked.connected", held)


@pytest.fixture(params=OPTIMIZERS)
def task(tmp_path, request):
    """What a run of an optimiser is given here, beside its name."""
    name = request.param
    if name == "gpt4-replay":
        return {"optimizer": name, "episodes": EPISODES, **LCDA}
    if name != "llm":
        return {"optimizer": name, "episodes": EPISODES, "settings": SETTINGS.get(name, {})}
    (tmp_path / "replies.txt").write_text(REPLIES)
    model = {"name": "parrot", "script": str(tmp_path / "replies.txt")}
    return {"optimizer": name, "episodes": EPISODES, "settings": {"model": model}}


def test_designs_lie_in_the_space_and_survive_json(run_of, config, task, tmp_path):
    space = config(**task).space
    for trial in run_of(tmp_path / "run", **task):
        assert trial.step < EPISODES
        assert (trial.design is None) == (trial.failure is not None)
        assert trial.design is None or space.check(trial.design) == []
        assert Trial.model_validate_json(trial.model_dump_json()) == trial


def test_free_hardware_is_proposed_too(run_of, config, task, tmp_path):
    if task["optimizer"] in FIXED:
        pytest.skip("its answers are fixed")
    hardware = {"subarray": None, "cell_bits": None, "adc_levels": 32, "mapping": None}
    scenario = {**config().scenario.model_dump(exclude_none=True), "hardware": hardware}
    free = {**task, "scenario": scenario, "space": "configs/spaces/codesign.yaml", "episodes": 4}
    for trial in run_of(tmp_path / "run", **free):
        assert trial.design.hardware.chosen().keys() == {"subarray", "cell_bits", "mapping"}


def test_same_seed_same_trajectory(run_of, task, tmp_path, untimed):
    first = run_of(tmp_path / "a", **task, seed=3)
    assert untimed(run_of(tmp_path / "b", **task, seed=3)) == untimed(first)
    if task["optimizer"] not in SEEDLESS:
        other = run_of(tmp_path / "c", **task, seed=4)
        assert [one.design for one in other] != [one.design for one in first]


@pytest.mark.parametrize("mode", [{}, {"batch": 3, "screen": 2}], ids=["plain", "screened"])
def test_resume_by_replay_equals_the_unbroken_run(run_of, task, tmp_path, untimed, mode):
    unbroken = run_of(tmp_path / "run", **task, **mode)
    for file, kept in (("trials.jsonl", 4), ("exchanges.jsonl", 7)):
        path = tmp_path / "run" / file
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:kept]) + b"".join(lines[kept : kept + 1])[:25])
    resumed = run_of(tmp_path / "run", **task, **mode, resume=True)
    assert untimed(resumed) == untimed(unbroken)


def test_a_history_without_anything_feasible(run_of, config, task, tmp_path):
    tight = {**config().scenario.model_dump(exclude_none=True), "limits": {"area_um2": 1.0}}
    trials = run_of(tmp_path / "run", **task, scenario=tight)
    assert len(trials) == EPISODES
    assert not any(one.feasible for one in trials)


def test_a_history_of_duplicates(run_of, task, tmp_path):
    """Two designs: nearly every proposal repeats one of them."""
    pair = {"name": "pair", "channels": [64], "kernels": [3], "layers": 6, "width_divisor": 4}
    if task["optimizer"] not in FIXED:
        task = {**task, "space": pair}
    trials = run_of(tmp_path / "run", **task, screen=2)
    assert len(trials) == EPISODES
    if "space" in task and task["space"] is pair:
        assert [one.duplicate_of for one in trials[1:]] == [0] * (EPISODES - 1)


def test_a_history_of_crashes(run_of, task, tmp_path):
    def crash(queries):
        raise RuntimeError("no accuracy today")

    trials = run_of(tmp_path / "run", **task, source=crash)
    assert len(trials) == EPISODES
    assert any(one.failure for one in trials)


def test_settings_are_whole_and_read_back_equal(config, task, tmp_path):
    whole = resolved(config(**task))
    fields = OPTIMIZERS[whole.optimizer].settings.model_fields
    assert whole.settings.keys() == fields.keys()
    with open_run(tmp_path / "run", whole, digests_of(whole), resume=False):
        pass
    with open_run(tmp_path / "run", resolved(whole), digests_of(whole), resume=True) as run:
        assert run.config == whole


NEED_THE_SCENARIO = (
    "boosted",
    "ranked",
    "greybox",
    "informed",
    "surrogate",
    "warm",
    "gpt4-replay",
)


def test_a_blind_task_is_searched_by_results_or_refused(run_of, config, task, tmp_path):
    if task["optimizer"] in NEED_THE_SCENARIO:
        with pytest.raises(UsageError, match="the task is blind"):
            run_of(tmp_path / "run", **task, told=False)
        return
    if task["optimizer"] == "llm":
        with pytest.raises(UsageError, match="style codesign tells the scenario"):
            run_of(tmp_path / "run", **task, told=False)
        task["settings"] |= {"style": "paper"}
    assert len(run_of(tmp_path / "run", **task, told=False)) == EPISODES


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("random", "nothing"),
        ("greybox", "cost model"),
        ("lookup", r"[\d,]+ trace evaluations, [\d,]+ trainings"),
        ("neighbours", r"[\d,]+ trace evaluations, [\d,]+ trainings, cost model"),
        ("surrogate", r"[\d,]+ trainings, cost model"),
        ("informed", r"[\d,]+ trace evaluations, [\d,]+ trainings, cost model"),
        ("ranked", r"[\d,]+ trace evaluations, [\d,]+ trainings, cost model"),
        ("boosted", r"[\d,]+ trace evaluations, [\d,]+ trainings, cost model"),
        ("warm", r"[\d,]+ trace evaluations, [\d,]+ trainings, cost model"),
    ],
)
def test_the_manifest_says_what_an_arm_was_given(run_of, name, words, tmp_path):
    run_of(tmp_path / "run", optimizer=name, episodes=1, settings=SETTINGS.get(name, {}))
    assert re.fullmatch(words, read_run(tmp_path / "run").manifest.given.words)
