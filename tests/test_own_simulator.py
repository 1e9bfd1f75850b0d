"""docs/own-simulator.md, executed: its files written, its commands typed, up to the training."""

import json
import os
import re
import shlex
import subprocess
import sys
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cim_sim.config import load
from cim_sim.own import load_space
from search.llm.model import ModelConfig
from search.llm.reply import parse_reply
from search.optimizers import settings_of
from search.record.runs import read_run
from search.study.sweep import SweepConfig

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "own-simulator.md").read_text(encoding="utf-8")
EXECUTED = PAGE.split("## Tune a model")[0]
FILES = dict(re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", PAGE, re.S | re.M))
COMMANDS = [shlex.split(line) for line in re.findall(r"^python -m .*$", EXECUTED, re.M)]

pytestmark = pytest.mark.slow


def written(folder):
    for name, text in FILES.items():
        (folder / name).write_text(text)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Write the files of the page into an empty directory, and type its commands there."""
    folder = tmp_path_factory.mktemp("page")
    written(folder)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    for words in COMMANDS:
        done = subprocess.run(
            [sys.executable, *words[1:]],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_commands_are_those_of_the_whole_way():
    assert [words[2:4] for words in COMMANDS] == [
        ["search", "sweep"],
        ["finetune", "traces"],
        ["search", "run"],
        ["finetune", "dataset"],
    ]


def test_the_evaluator_is_short():
    lines = [line for line in FILES["systolic.py"].splitlines() if line.strip()]
    assert len(lines) < 30


def test_its_cycles_are_those_of_the_paper():
    """By hand: 128 x 32 PEs, output-stationary: 25 x 2 folds of 2 x 128 + 32 + 576 - 2 cycles."""
    scope = {"__name__": "page"}
    exec(FILES["systolic.py"], scope)
    facts = yaml.safe_load(FILES["conv2.yaml"])["facts"]
    design = {"rows": 128, "columns": 32, "dataflow": "os"}
    found = scope["evaluate"](design, facts, 0)
    assert found["measured"] == {"cycles": 862 * 50, "folds": 50}
    assert found["reward"] == pytest.approx(3136 * 64 * 576 / (862 * 50 * 4096))
    assert scope["screen"](design, facts, 0) == {}
    said = scope["screen"]({**design, "columns": 40}, facts, 0)
    assert said == {"infeasible": "5120 PEs, at most 4096"}


def test_the_searches_find_good_arrays(page):
    """Nothing beats the best of all allowed designs, and tpe comes near it in every scenario."""
    scope = {"__name__": "page"}
    exec(FILES["systolic.py"], scope)
    table = pd.read_parquet(page / "runs/systolic/trials.parquet")
    assert len(table) == 4 * 3 * 2 * 30
    assert table["failure"].isna().all()
    space = load_space(page / "arrays.yaml")
    every = [
        space.decode(indices).wire()
        for indices in product(*(range(len(p.choices)) for p in space.parameters))
    ]
    for scenario in yaml.safe_load(FILES["sweep.yaml"])["scenarios"]:
        facts = scenario["facts"]
        allowed = [one for one in every if not scope["screen"](one, facts, 0)]
        best = max(scope["evaluate"](one, facts, 0)["reward"] for one in allowed)
        found = table[table["scenario"] == scenario["name"]].groupby("arm")["reward"].max()
        assert set(found.index) == {"random", "genetic", "tpe"}
        assert (found <= best + 1e-12).all()
        assert found["tpe"] > 0.7 * best
    measured = table[table["reward"].notna()]
    assert (measured["measured.cycles"] > 0).all()
    assert "Accuracy against cost" not in (page / "runs/systolic/comparison.md").read_text()


def test_the_command_says_what_the_function_says(page):
    run = read_run(page / "runs/conv2")
    scope = {"__name__": "page"}
    exec(FILES["systolic.py"], scope)
    assert len(run.trials) == 12
    assert any(trial.feasible for trial in run.trials)
    for trial in run.trials:
        said = scope["evaluate"](trial.design.wire(), run.config.scenario.facts, 0)
        if trial.feasible:
            found = trial.evaluation
            assert {"reward": found.reward, "measured": found.measured} == said


def test_the_dataset_teaches_designs_of_the_space(page):
    data = page / "runs/finetune/systolic"
    space = load_space(page / "arrays.yaml")
    lines = [
        json.loads(line)
        for split in ("train", "validation")
        for line in (data / f"{split}.jsonl").read_text().splitlines()
    ]
    assert len({line["scenario"] for line in lines}) == 4
    for line in lines:
        first = next(turn["content"] for turn in line["prompt"] if turn["role"] == "user")
        assert first.startswith("Choose a systolic array for one layer of ResNet-18.\nmost_pes: ")
        for turn in line["completion"]:
            assert turn["role"] == "user" or parse_reply(turn["content"], space)
    manifest = json.loads((data / "manifest.json").read_text())
    assert manifest["given"]["trainings"] == 0
    assert not manifest["given"]["cost_model"]


def test_the_second_search_is_one_that_can_be_begun(tmp_path, monkeypatch):
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert load("mine.yaml", ModelConfig).name == "systolic"
    wanted = load("second.yaml", SweepConfig)
    assert [task.name for task in wanted.tasks] == ["conv2"]
    for arm in wanted.arms.values():
        settings_of(arm.optimizer, arm.settings)
    assert not {"conv2"} & {one["name"] for one in yaml.safe_load(FILES["sweep.yaml"])["scenarios"]}
