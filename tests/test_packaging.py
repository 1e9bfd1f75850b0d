"""What `pip install` gives: three programs that work in an empty directory, with their data."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cim_sim.paths import SHIPPED, readable

ROOT = Path(__file__).parents[1]
PARTS = ("cim_sim", "search", "finetune", "configs", "datasets")
FILES = ("pyproject.toml", "README.md", "constraints.txt", "LICENSE")
PROBLEM = [
    "--scenario", "configs/scenarios/embedded-latency.yaml",
    "--space", "configs/spaces/embedded.yaml", "--evaluator", "surrogate",
]  # fmt: skip


def test_a_file_of_the_working_directory_wins_over_the_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = Path("configs/spaces/embedded.yaml")
    assert readable(named) == SHIPPED / named
    assert readable(Path("finetune/chatml.jinja")).read_text().startswith("{")
    assert readable(SHIPPED / named) == SHIPPED / named
    named.parent.mkdir(parents=True)
    named.write_text("name: mine")
    assert readable(named) == named
    assert readable(Path("configs/spaces/absent.yaml")) == Path("configs/spaces/absent.yaml")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build a wheel of the sources and install it, without network, into a folder of its own."""
    pytest.importorskip("setuptools")
    place = tmp_path_factory.mktemp("wheel")
    source, prefix = place / "source", place / "prefix"
    for part in PARTS:
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, source / part, symlinks=True, ignore=unwanted)
    for file in FILES:
        shutil.copy(ROOT / file, source)
    offline = ["--quiet", "--no-deps", "--no-index"]
    pip = [sys.executable, "-m", "pip"]
    build = [*pip, "wheel", *offline, "--no-build-isolation", "-w", place, source]
    subprocess.run(build, check=True)
    (wheel,) = place.glob("lcda_ft-*.whl")
    options = ["--prefix", prefix, "--ignore-installed", "--no-compile"]
    subprocess.run([*pip, "install", *offline, *options, wheel], check=True)
    return prefix


@pytest.fixture
def typed(installed, tmp_path):
    """Type a command of the installation in an empty directory; returns what it said."""
    (library,) = installed.glob("lib/python*/site-packages")

    def type_in(program, *words):
        command = [sys.executable, installed / "bin" / program, *words]
        environment = {**os.environ, "PYTHONPATH": str(library)}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return type_in


@pytest.mark.slow
def test_the_wheel_holds_data_as_files_and_nothing_of_tests(installed):
    (library,) = installed.glob("lib/python*/site-packages")
    shipped = library / "cim_sim" / "shipped"
    for name in ("configs", "datasets/lookup", "datasets/accuracy-bench"):
        wanted = {
            str(file.relative_to(ROOT)) for file in (ROOT / name).rglob("*") if file.is_file()
        }
        assert wanted == {
            str(file.relative_to(shipped)) for file in (shipped / name).rglob("*") if file.is_file()
        }
    assert (shipped / "constraints.txt").read_text() == (ROOT / "constraints.txt").read_text()
    assert not [file for file in library.rglob("*") if file.is_symlink()]
    assert {path.name for path in library.iterdir() if path.suffix != ".dist-info"} == {
        "cim_sim", "search", "finetune",
    }  # fmt: skip


@pytest.mark.slow
def test_the_three_programs_work_in_an_empty_directory(typed, tmp_path):
    pairs = "[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]"
    said = typed("lcda-sim", "explain", "--design", pairs, *PROBLEM[:2])
    assert "latency" in said
    said = typed("lcda-search", "run", "--optimizer", "lookup", *PROBLEM, "--episodes", "2",
                 "--out", "run")  # fmt: skip
    assert json.loads(said.splitlines()[-1])["episodes"] == 2
    said = typed("lcda-finetune", "traces", "--dry-run")
    assert "to do it:\n  lcda-finetune traces\n" in said
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.slow
def test_an_own_file_of_the_same_name_is_taken(typed, tmp_path):
    own = tmp_path / "configs" / "spaces" / "embedded.yaml"
    own.parent.mkdir(parents=True)
    text = (ROOT / "configs" / "spaces" / "embedded.yaml").read_text()
    own.write_text(text.replace("name: embedded", "name: mine"))
    words = ["--optimizer", "random", *PROBLEM, "--out", "run", "--dry-run"]
    assert "in the space mine\n" in typed("lcda-search", "run", *words)
