"""Sweeps in real worker processes, and what a kill leaves.

KILLS=200 python -m pytest tests/search/study/test_sweep.py   is the long form: fifteen minutes.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml

from cim_sim.config import UsageError, load, parse
from search.__main__ import main
from search.commands.verify import verify
from search.comparison.result import Comparison
from search.evaluators import build
from search.execute import execute
from search.llm.model import ModelConfig
from search.proposal import SearchStopped
from search.record.runs import read_run
from search.study.sweep import SweepConfig, _run, begin, jobs, of_split, unfinished
from search.study.table import write_trials

KILLS = int(os.environ.get("KILLS", "2"))
KILLS_A_SWEEP = 5
FAILURE = {"kind": "reply", "message": "no design in it"}
CONFIG = {
    "space": "configs/spaces/embedded.yaml",
    "scenarios": [
        "configs/scenarios/embedded-latency.yaml",
        "configs/scenarios/embedded-energy.yaml",
    ],
    "seeds": 1,
    "screens": [0, 4],
    "arms": {
        "random": {"optimizer": "random", "episodes": 40},
        "short": {"optimizer": "random", "episodes": 20},
    },
}


def sweep_config(**changes):
    return parse({**CONFIG, **changes}, SweepConfig, "test")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "sweep.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


@pytest.fixture
def said(monkeypatch, capsys):
    """Type a command of the search; returns its closing JSON and all that it said."""

    def type_in(*words):
        monkeypatch.setattr(sys, "argv", ["search", *map(str, words)])
        assert main() == 0
        text = capsys.readouterr().out
        return json.loads(text.splitlines()[-1]), text

    return type_in


def start(file, out, *options):
    command = [sys.executable, "-m", "search", "sweep", str(file), "--out", str(out), *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, start_new_session=True)


def finish(child):
    out, err = child.communicate(timeout=300)
    return child.returncode, out.splitlines(), err


@pytest.fixture(scope="module")
def unbroken(file, tmp_path_factory):
    out = tmp_path_factory.mktemp("sweeps") / "unbroken"
    code, lines, err = finish(start(file, out))
    assert (code, err) == (0, "")
    return out, lines


def trials(out):
    return {
        str(path.parent.relative_to(out)): path.read_text().splitlines()
        for path in sorted(out.glob("runs/**/trials.jsonl"))
    }


def untimed_lines(lines):
    records = [json.loads(line) for line in lines]
    return [{k: v for k, v in one.items() if k not in ("started_at", "seconds")} for one in records]


def test_jobs_cover_everything_once_and_screened_arms_are_apart(tmp_path):
    tasks = jobs(sweep_config(seeds=2), tmp_path)
    assert len(tasks) == 2 * 2 * 2 * 2 == len({task.out for task in tasks})
    assert {task.config.screen for task in tasks} == {0, 4}
    task = tmp_path / "runs" / "embedded-latency"
    assert [one.out for one in tasks[:2]] == [task / "random" / "seed0", task / "random" / "seed1"]
    assert tasks[7].out == task / "short-screen4" / "seed1"


def test_the_faults_of_all_arms_are_named_at_once(tmp_path):
    arms = {
        "good": {"optimizer": "random", "episodes": 3},
        "a": {"optimizer": "randon", "episodes": 3},
        "b": {"optimizer": "genetic", "episodes": 3, "settings": {"population": 6}},
    }
    with pytest.raises(UsageError) as caught:
        jobs(sweep_config(arms=arms), tmp_path)
    first, second = str(caught.value).splitlines()
    assert first == "arms.a: optimizer randon is not known; did you mean random?"
    assert second.startswith("arms.b: settings of optimizer genetic: population is not known")


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "..", "", "a\n"])
def test_an_arm_s_runs_stay_in_the_sweep(name):
    with pytest.raises(UsageError, match=r"a folder is called so: expected printable"):
        sweep_config(arms={name: {"optimizer": "random", "episodes": 3}})


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 10**9},
        {"screens": [0] * 50_000},
        {"scenarios": {"split": "near", "count": 10**9}},
    ],
)
def test_a_sweep_that_would_never_end_is_refused_before_it_is_planned(change):
    with pytest.raises(UsageError, match=r"runs, at most 100,000 make a sweep"):
        sweep_config(**change)


def test_settings_are_completed_before_anything_runs(tmp_path):
    small = {"optimizer": "genetic", "episodes": 5, "settings": {"population_size": 6}}
    task = jobs(sweep_config(arms={"small": small}), tmp_path)[0]
    assert task.config.settings["population_size"] == 6
    assert task.config.settings["crossover_prob"] == 0.9


def test_scenarios_of_the_family_or_from_files():
    family = {"split": "validation", "count": 2, "first": 3}
    own = sweep_config(scenarios=family, space=None)
    assert [task.name for task in own.tasks] == ["validation-0003", "validation-0004"]
    assert {task.space.name for task in sweep_config(scenarios=family).tasks} == {"embedded"}
    assert [task.name for task in sweep_config().tasks] == ["embedded-latency", "embedded-energy"]


def test_one_objective_of_a_split_keeps_the_numbers_of_its_tasks():
    both = sweep_config(scenarios={"split": "near", "count": 6, "first": 64}, space=None).tasks
    wanted = {"split": "near", "count": 3, "first": 64, "objective": "latency"}
    chosen = sweep_config(scenarios=wanted, space=None).tasks
    assert list(chosen) == [task for task in both if task.scenario.metric == "latency"]
    config = sweep_config(scenarios=wanted, space=None)
    with pytest.raises(UsageError, match="energy-delay alone; leave objective: latency out"):
        _ = of_split(config, "objective").tasks


def test_every_job_has_the_space_of_its_task_and_tells_what_the_task_tells(tmp_path):
    arms = {"random": {"optimizer": "random", "episodes": 3}}
    for split in ("space", "blind"):
        wanted = {"split": split, "count": 2}
        runs = jobs(sweep_config(scenarios=wanted, space=None, arms=arms, screens=[0]), tmp_path)
        tasks = sweep_config(scenarios=wanted, space=None).tasks
        assert [run.config.space for run in runs] == [task.space for task in tasks]
        assert {run.config.told for run in runs} == {split != "blind"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": {"a": {"optimizer": "genetics", "episodes": 3}}}, "did you mean genetic"),
        (
            {"arms": {"a": {"optimizer": "tpe", "episodes": 3, "settings": {"startup": 1}}}},
            "startup is not known",
        ),
        ({"arms": {"a": {"optimizer": "tpe"}}}, "arms.a.episodes is missing"),
        (
            {"arms": {"a": {"optimizer": "tpe", "episodes": 3, "settings": "nowhere.yaml"}}},
            r"test: arms\.a: .*nowhere\.yaml: No such file",
        ),
        ({"scenarios": {"split": "exam", "count": 2}}, r"^test: scenarios\.split: .*'digits'.*$"),
        ({"scenarios": {"spilt": "near", "count": 2}}, r"did you mean scenarios\.split"),
        ({"scenarios": ["configs/scenarios/nope.yaml"]}, "nope.yaml"),
        ({"space": None}, "space is missing: listed scenarios need one"),
        ({"scenarios": []}, r"^test: scenarios.*at least 1 item"),
        ({"screens": []}, r"^test: screens.*at least 1 item"),
        ({"screens": [4, 4]}, r"would share a directory: .*random-screen4/seed0"),
        ({"space": "configs/spaces/codesign.yaml"}, "fixed by the one and freed by the other"),
    ],
)
def test_faults_are_found_before_anything_runs(changes, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        jobs(sweep_config(**changes), tmp_path)


def test_a_directory_is_not_reused_for_another_sweep(tmp_path):
    begin(sweep_config(), tmp_path / "sweep", resume=False)
    assert load(tmp_path / "sweep" / "sweep.yaml", SweepConfig) == sweep_config()
    with pytest.raises(UsageError, match="is not empty; add --resume"):
        begin(sweep_config(), tmp_path / "sweep", resume=False)
    with pytest.raises(UsageError, match="seeds: 1 is not 2"):
        begin(sweep_config(seeds=2), tmp_path / "sweep", resume=True)
    begin(sweep_config(), tmp_path / "sweep", resume=True)


@pytest.mark.slow
def test_a_sweep_writes_its_table_and_prints_what_each_arm_came_to(unbroken):
    out, lines = unbroken
    table = pd.read_parquet(out / "trials.parquet")
    assert len(table) == 2 * 2 * (40 + 20)
    assert table.groupby(["scenario", "arm", "screen", "seed"]).ngroups == 8
    first = read_run(out / "runs" / "embedded-energy" / "random" / "seed0").trials
    same = table[(table.scenario == "embedded-energy") & (table.arm == "random")]
    rewards = same[same.screen == 0].reward.to_numpy()
    np.testing.assert_array_equal(rewards, [one.score if one.feasible else np.nan for one in first])
    said = json.loads(lines[-1])
    assert said["trials"] == len(table)
    arms = {"random@40", "short@20", "random+screen4@40", "short+screen4@20"}
    assert said["final_regret"].keys() == arms
    assert any(line.startswith("| random+screen4 | ") for line in lines)
    compared = load(out / "comparison.json", Comparison)
    assert [(one.name, one.screen) for one in compared.arms] == [
        ("random", 0), ("short", 0), ("random+screen4", 4), ("short+screen4", 4),
    ]  # fmt: skip
    assert (compared.factors, len(compared.scenarios)) == (("screen",), 2)
    assert all(0 <= one.regret[20].mean.mean <= 1 for one in compared.arms)
    assert (out / "report.html").is_file()


@pytest.mark.slow
def test_kill_9_at_random_moments_loses_nothing(file, unbroken, tmp_path):
    """Of the whole sweep or of a worker: every record is a beginning of the unbroken run's."""
    whole = {name: untimed_lines(lines) for name, lines in trials(unbroken[0]).items()}
    moments = random.Random(0)
    for number in range(0, KILLS, KILLS_A_SWEEP):
        out, known = tmp_path / f"sweep{number}", {}
        for _ in range(min(KILLS_A_SWEEP, KILLS - number)):
            child = start(file, out, "--resume")
            time.sleep(moments.uniform(0.5, 4))
            kill_9(child, moments.random() < 0.5)
            known = require_beginnings(out, whole, known)
        code, _, err = finish(start(file, out, "--resume"))
        assert (code, err) == (0, "")
        assert {name: untimed_lines(lines) for name, lines in trials(out).items()} == whole


def workers_of(child):
    return [
        one for one in psutil.Process(child.pid).children() if "spawn_main" in one.cmdline()[-2]
    ]


def kill_9(child, only_a_worker):
    """Kill a worker, after which the sweep ends by itself, or the whole session at once."""
    workers = workers_of(child) if only_a_worker and child.poll() is None else []
    if workers:
        workers[0].kill()
        code, _, err = finish(child)
        assert code == 0 or (code == 1 and "go on with: python -m search sweep" in err)
        return
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    finish(child)


def require_beginnings(out, whole, known):
    """Check that nothing recorded is wrong or gone; a torn last line is not recorded yet."""
    found = {}
    for name, path in ((one, out / one / "trials.jsonl") for one in whole):
        text = path.read_text() if path.exists() else ""
        lines = untimed_lines(text.split("\n")[:-1])
        assert lines == whole[name][: len(lines)]
        assert len(lines) >= known.get(name, 0)
        found[name] = len(lines)
    return found


@pytest.mark.slow
def test_the_workers_end_with_a_killed_parent(file, tmp_path):
    child = start(file, tmp_path / "sweep")
    child.stdout.readline()  # a run is done: the workers are at work
    workers = workers_of(child)
    assert len(workers) == 2
    child.kill()
    finish(child)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


@pytest.mark.slow
def test_a_ray_cluster_records_the_same(file, unbroken, tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    code, _, err = finish(start(file, tmp_path / "sweep", "--executor", "ray"))
    assert (code, err) == (0, "")
    whole, found = (trials(out) for out in (unbroken[0], tmp_path / "sweep"))
    assert {name: untimed_lines(lines) for name, lines in found.items()} == {
        name: untimed_lines(lines) for name, lines in whole.items()
    }


@pytest.mark.slow
def test_a_table_that_cannot_be_written_says_how_to_go_on(file, unbroken, tmp_path):
    out = tmp_path / "sweep"
    shutil.copytree(unbroken[0], out)
    (out / ".trials.parquet.new").mkdir()
    code, _, err = finish(start(file, out, "--resume"))
    assert code == 1
    assert f"{out / 'trials.parquet'}: Is a directory" in err
    assert "go on with: python -m search sweep" in err
    (out / ".trials.parquet.new").rmdir()
    assert finish(start(file, out, "--resume"))[0] == 0
    (out / "trials.parquet").write_text("torn")
    with pytest.raises(UsageError, match=r"trials\.parquet: not a Parquet table"):
        verify((out,))


@pytest.mark.parametrize(("gave_up", "said"), [(True, None), (False, "no answer")])
def test_a_run_that_gave_up_has_ended(gave_up, said, tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise SearchStopped("no answer")

    monkeypatch.setattr("search.study.sweep.execute", stopped)
    monkeypatch.setattr("search.study.sweep.read_run", lambda out: out)
    monkeypatch.setattr("search.study.sweep.is_finished", lambda run: gave_up)
    (job, *_) = jobs(sweep_config(), tmp_path)
    assert _run(job.config, job.out, tmp_path / "cache.sqlite") == said


def test_a_sweep_that_goes_on_leaves_what_gave_up_as_it_is(tmp_path):
    """Else each --resume would try once more, and one success would begin it again."""
    (job, *_) = jobs(sweep_config(), tmp_path)
    execute(job.config, build(job.config.scenario, job.config.space, job.config), job.out)
    kept, manifest = (job.out / name for name in ("trials.jsonl", "manifest.json"))
    failed = [
        {**json.loads(line), "design": None, "evaluation": None, "failure": FAILURE}
        for line in kept.read_text().splitlines()[:10]
    ]
    kept.write_text("".join(json.dumps(line) + "\n" for line in failed))
    ended = json.loads(manifest.read_text())
    for status, left in (("failed", []), ("running", [job])):
        manifest.write_text(json.dumps({**ended, "status": status}))
        assert unfinished([job]) == left
    kept.write_text("".join(json.dumps(line) + "\n" for line in failed[:9]))
    manifest.write_text(json.dumps({**ended, "status": "failed"}))
    assert unfinished([job]) == [job]


@pytest.fixture
def finished(tmp_path):
    """The file of a sweep that this very process has done, and the sweep's directory."""
    file, out = tmp_path / "small.yaml", tmp_path / "small"
    lengths = {"random": 8, "short": 4}
    arms = {name: {"optimizer": "random", "episodes": n} for name, n in lengths.items()}
    file.write_text(yaml.safe_dump({**CONFIG, "arms": arms}))
    wanted = load(file, SweepConfig)
    begin(wanted, out, resume=False)
    runs = jobs(wanted, out)
    for job in runs:
        execute(job.config, build(job.config.scenario, job.config.space, job.config), job.out)
    write_trials(runs, out)
    return file, out


def test_a_dry_run_of_a_sweep_counts_what_is_left_and_of_verify_what_would_be_trained(
    finished, said
):
    file, out = finished
    before = sorted(out.rglob("*"))
    counts, text = said("sweep", file, "--out", out, "--resume", "--dry-run")
    assert "seeds: 1" in text
    assert (counts["scenarios"], counts["arms"]) == (2, "random, short")
    assert (counts["runs"], counts["finished"], counts["episodes"]) == (8, 8, 48)
    counts, text = said("verify", out, "--seeds", "2", "--dry-run")
    assert (counts["winners"], counts["trainings_at_most"]) == (8, 16)
    assert counts["episodes"] == 4, "as many as the shortest arm has"
    assert counts["writes"].startswith(str(out / "verified.json"))
    assert f"to do it:\n  search verify {out} --seeds 2\n" in text
    assert sorted(out.rglob("*")) == before
    with pytest.raises(UsageError, match="arm random is in 2 sweeps, so its winner would be the"):
        verify((out, out))
    more = out.with_name("more")
    shutil.copytree(out, more)
    again = yaml.safe_load((more / "sweep.yaml").read_text())
    (more / "sweep.yaml").write_text(yaml.safe_dump({**again, "seeds": 3}))
    with pytest.raises(UsageError, match="its seeds, its evaluator or its accuracy_seed are not"):
        verify((out, more))


@pytest.mark.slow
def test_the_evaluator_of_the_command_line_wins(tmp_path):
    quick = {
        **yaml.safe_load(Path("configs/scenarios/embedded-energy.yaml").read_text()),
        "workload": {"dataset": "digits", "hidden": 32},
        "recipe": {"epochs": 1, "draws": 2},
    }
    arms = {"random": {"optimizer": "random", "episodes": 2}}
    data = {**CONFIG, "scenarios": [quick], "screens": [0], "arms": arms}
    file, out = tmp_path / "sweep.yaml", tmp_path / "sweep"
    file.write_text(yaml.safe_dump({**data, "evaluator": "surrogate"}))
    options = ("--evaluator", "trained", "--cache", str(tmp_path / "accuracy.sqlite"))
    code, _, err = finish(start(file, out, *options))
    assert (code, err) == (0, "")
    run = read_run(out / "runs" / quick["name"] / "random" / "seed0")
    assert run.config.evaluator == load(out / "sweep.yaml", SweepConfig).evaluator == "trained"
    measured = [trial.evaluation.accuracy for trial in run.trials if trial.feasible]
    assert measured
    assert all(accuracy.clean is not None for accuracy in measured)
    code, _, err = finish(start(file, out, "--resume"))
    assert code == 2
    assert "evaluator: 'trained' is not 'surrogate'" in err


@pytest.mark.slow
def test_the_command_to_go_on_repeats_the_options(file):
    options = ("--evaluator", "trained", "--seeds", "2")
    code, _, err = finish(start(file, "/proc/sweep", *options))
    assert code == 1
    assert "--resume --evaluator trained --seeds 2" in err


def test_an_option_says_how_many_seeds(file, said, tmp_path):
    plan, _ = said("sweep", file, "--seeds", 5, "--out", tmp_path / "sweep", "--dry-run")
    assert (plan["runs"], plan["finished"]) == (2 * 2 * 2 * 5, 0)


@pytest.mark.slow
def test_ctrl_c_keeps_everything_and_says_how_to_go_on(file, tmp_path):
    child = start(file, tmp_path / "sweep")
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    code, _, err = finish(child)
    assert code == 130
    assert f"go on with: python -m search sweep {file} --out {tmp_path / 'sweep'} --resume" in err
    assert "Traceback" not in err


def test_runs_of_a_model_that_came_in_the_place_of_theirs_are_not_done(tmp_path, monkeypatch):
    """They are refused when they are opened, instead of standing for the new model."""
    sweep = parse(
        {
            "space": "configs/spaces/embedded.yaml",
            "scenarios": ["configs/scenarios/embedded-latency.yaml"],
            "seeds": 1,
            "arms": {"random": {"optimizer": "random", "episodes": 2}},
        },
        SweepConfig,
        "sweep.yaml",
    )
    (job,) = jobs(sweep, tmp_path)
    execute(job.config, build(job.config.scenario, job.config.space, job.config), job.out)
    assert unfinished([job]) == []
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"trained anew")
    model = ModelConfig(name="local", path=tmp_path / "model")
    monkeypatch.setattr("search.study.sweep.model_of", lambda config: model)
    assert unfinished([job]) == [job]
