"""The verbs, as a user meets them: what they print and how they refuse."""

import json
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest

from cim_sim import cli
from cim_sim.__main__ import main
from cim_sim.commands.accuracy import accuracy
from cim_sim.commands.bench_accuracy import bench_accuracy
from cim_sim.commands.surrogate import surrogate
from cim_sim.config import Stopped, UsageError
from cim_sim.paths import EMBEDDED_SPACE

SCENARIO = """
name: small
workload: {dataset: digits, hidden: 32}
hardware: {subarray: 128, cell_bits: 2, adc_levels: 32, mapping: novel}
variation: {cell_sigma: 0.05}
recipe: {epochs: 2, draws: 4}
objective: {metric: energy}
"""
DESIGN = "[[32,3],[32,3],[32,1],[32,3],[32,1],[64,3]]"


@pytest.fixture
def scenario(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(SCENARIO)
    return file


def test_accuracy_prints_clean_and_noisy_and_twice_the_same(scenario, tmp_path, capsys):
    printed = []
    for cache in ("one.sqlite", "two.sqlite"):
        assert accuracy(DESIGN, scenario, EMBEDDED_SPACE, cache=tmp_path / cache) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    lines = printed[0].splitlines()
    assert lines[0] == "network      [[8, 3], [8, 3], [8, 1], [8, 3], [8, 1], [16, 3]] on digits"
    record = json.loads(lines[-1])
    assert record["sigma"] == record["training_sigma"] == pytest.approx(0.05 * 1.549, rel=1e-3)
    assert f"clean        {record['clean']:.4f}" in lines
    assert f"noisy        {record['mean']:.4f} +- {record['standard_error']:.4f}" in printed[0]


def test_a_design_outside_the_space_is_refused_before_any_training(scenario, tmp_path):
    with pytest.raises(UsageError, match="layer 1: channels 33 not in"):
        accuracy(
            DESIGN.replace("[[32", "[[33"), scenario, EMBEDDED_SPACE, cache=tmp_path / "none.sqlite"
        )
    assert not (tmp_path / "none.sqlite").exists()


def test_more_pools_than_the_images_can_take_are_named(scenario, tmp_path):
    text = scenario.read_text().replace("hidden: 32", "hidden: 32, pools_after: [1, 2, 3, 4]")
    scenario.write_text(text)
    with pytest.raises(UsageError, match=r"images of digits, 8x8, cannot be halved 4 times"):
        accuracy(DESIGN, scenario, EMBEDDED_SPACE, cache=tmp_path / "none.sqlite")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["accuracy", "--design", DESIGN, "--scenario", "x", "--space", "y", "--seed", "-1"],
            2,
            "-1 is less than",
        ),
        (["surrogate", "--fresh", "-3"], 2, "-3 is less than 0"),
        (["bench-accuracy", "--n", "-5"], 2, "bench-accuracy: --n -5 is less than 0"),
        (["bench-accuracy", "--workers", "0"], 2, "0 is less than 1"),
        (["compare-noise", "--sigma", "0"], 2, "--sigma 0.0 is not above 0"),
        (
            ["surrogate", "--check", "--table", "nowhere.parquet"],
            2,
            "nowhere.parquet: No such file",
        ),
        (
            ["surrogate", "--fit", "--table", "mine.parquet"],
            2,
            "rows there instead of mine.parquet",
        ),
        (["bench-accuracy", "--n", "0", "--publish", "README.md"], 2, "not a Parquet table"),
        (["bench-accuracy", "--n", "1", "--out", "/proc/x"], 1, "/proc/x: No such file"),
    ],
)
def test_bad_options_are_one_clear_message(words, code, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cim_sim", *words])
    try:
        found = main()
    except SystemExit as exit:
        found = exit.code
    err = capsys.readouterr().err
    assert found == code
    assert said in err
    assert "Traceback" not in err


def test_what_stopped_says_why_and_exits_with_one(monkeypatch, capsys):
    def stopped():
        raise Stopped("the server is gone; type the same again")

    monkeypatch.setattr(sys, "argv", ["program", "verb"])
    assert cli.run("program", "", {"verb": stopped}) == 1
    assert capsys.readouterr().err == "the server is gone; type the same again\n"


def test_a_killed_worker_ends_a_verb_with_advice(monkeypatch, capsys):
    def killed():
        raise BrokenProcessPool

    monkeypatch.setattr(sys, "argv", ["program", "verb"])
    assert cli.run("program", "", {"verb": killed}) == 1
    assert "a worker was killed; what was done stays, type the same" in capsys.readouterr().err


def test_a_new_table_of_nothing_is_not_made(tmp_path, capsys):
    table = tmp_path / "new.parquet"
    assert bench_accuracy(n=0, out=tmp_path / "lines", publish=table) == 0
    assert "holds 0 trainings" in capsys.readouterr().out
    assert not table.exists()


def test_surrogate_without_a_task_names_the_tasks():
    with pytest.raises(UsageError, match="give --check, --fit or --fresh N"):
        surrogate()


def test_an_empty_bench_ends_with_its_json(tmp_path, capsys):
    assert bench_accuracy(n=0, out=tmp_path) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["trainings"] == record["trained_now"] == 0
