"""The verbs, as a user meets them: what they print and how they refuse."""

import json

import pytest

from cim_sim.commands import accuracy as verbs
from cim_sim.config import UsageError

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
        assert verbs.accuracy(DESIGN, scenario, cache=tmp_path / cache) == 0
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
        verbs.accuracy(DESIGN.replace("[[32", "[[33"), scenario, cache=tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()


def test_surrogate_without_a_task_names_the_tasks():
    with pytest.raises(UsageError, match="give --check, --fit, --fresh N or --round R"):
        verbs.surrogate()


def test_an_empty_bench_ends_with_its_json(tmp_path, capsys):
    assert verbs.bench_accuracy(n=0, out=tmp_path) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["trainings"] == record["trained_now"] == 0
