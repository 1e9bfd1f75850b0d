"""docs/extending.md, executed: each extension point from outside, or in its place in a copy."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", PAGE, re.S | re.M))
DIFFS = re.findall(r"^```diff\n(.*?)^```", PAGE, re.S | re.M)
COMMANDS = re.findall(r"^python [^#\n]*", PAGE, re.M)
[REPLIES] = re.findall(r"^and in `replies.txt`\n```text\n(.*?)^```", PAGE, re.S | re.M)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the programs, as yet without an edit, beside what is added from outside."""
    folder = tmp_path_factory.mktemp("copy")
    for part in ("cim_sim", "search", "finetune", "configs", "datasets"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, symlinks=True, ignore=ignored)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "replies.txt").write_text(REPLIES)
    return folder


def typed(folder, words):
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def trials_of(run):
    return [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]


def test_the_page_shows_six_points():
    assert [line.split()[1] for line in COMMANDS] == ["mine.py", "-m", "rows.py", "mine.py"]
    edited = re.findall(r"^\+\+\+ b/(\S+)", "".join(DIFFS), re.M)
    assert edited == [
        "cim_sim/scenario.py",
        "search/llm/prompt.py",
        "cim_sim/hardware.py",
        "cim_sim/cost/subarray.py",
    ]


def test_an_optimiser_a_data_set_and_a_recipe_come_from_outside(copy):
    run, recipe, *_ = COMMANDS
    typed(copy, shlex.split(run)[1:])
    first, second = trials_of(copy / "runs" / "in-order")
    assert first["design"]["layers"] == [[16, 1]] * 6
    assert second["design"]["layers"] == [*[[16, 1]] * 5, [16, 3]]
    assert 0 <= first["evaluation"]["accuracy"]["mean"] <= 1
    assert "lora_r 8" in typed(copy, shlex.split(recipe)[1:])


def test_an_objective_a_prompt_style_and_a_device_have_their_places(copy):
    for diff in DIFFS:
        apply = ["git", "apply", "-"]
        subprocess.run(apply, cwd=copy, input=diff, text=True, check=True)
    *_, rows, run = COMMANDS
    typed(copy, shlex.split(rows)[1:])
    typed(copy, shlex.split(run)[1:])
    for trial in trials_of(copy / "runs" / "all"):
        found = trial["evaluation"]
        cost = found["cost"]
        energy_pj = cost["dynamic_energy_pj"] + cost["leakage_energy_pj"]
        power_mw = energy_pj / cost["latency_ns"]
        expected = found["accuracy"]["mean"] - (power_mw / 100) ** 0.5
        assert found["reward"] == pytest.approx(expected)
    lines = (copy / "runs" / "all" / "exchanges.jsonl").read_text().splitlines()
    asked = [json.loads(line)["request"]["messages"][-1]["content"] for line in lines]
    assert asked[0] == "Better:"
    assert asked[1].startswith("[[16,1],[16,1],[16,1],[16,1],[16,1],[16,1]] ")
