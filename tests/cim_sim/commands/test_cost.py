"""The verbs: what they write, what they print last, and what they refuse."""

import csv
import json

import pytest

from cim_sim.commands.bench import bench
from cim_sim.commands.cost import cost
from cim_sim.commands.explain import explain
from cim_sim.commands.kernels import kernels
from cim_sim.commands.validate import validate
from cim_sim.config import UsageError
from cim_sim.cost import evaluate
from cim_sim.cost_study.kernels import sweep
from cim_sim.hardware import Hardware
from cim_sim.space import from_wire
from cim_sim.workload import CIFAR10

SCENARIO = "configs/scenarios/paper-energy.yaml"
A = "[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]"
NARROW = "[[16,3],[16,3],[16,3],[16,3],[16,3],[16,3]]"


def last_json(capsys):
    out = capsys.readouterr().out
    return json.loads(out.splitlines()[-1]), out


def test_cost_writes_a_row_for_each_design(tmp_path, capsys):
    designs, out = tmp_path / "designs.jsonl", tmp_path / "sub" / "cost.csv"
    designs.write_text(f"{A}\n\n{NARROW}\n")
    assert cost(designs, out, SCENARIO) == 0
    with out.open() as file:
        good, bad = csv.DictReader(file)
    batch = evaluate(CIFAR10.stack([from_wire(json.loads(A))]), Hardware(pad="stock"))
    assert float(good["latency_ns"]) == batch.latency_ns[0]
    assert float(good["energy_pj"]) == batch.energy_pj[0]
    assert (good["design"], good["feasible"], good["reason"]) == (A, "1", "")
    assert (bad["feasible"], bad["latency_ns"]) == ("0", "")
    assert bad["reason"].startswith("layer 2, the widest")
    assert last_json(capsys)[0] == {"designs": 2, "feasible": 1, "out": str(out)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{A}\n[[32,3], oops\n", r"designs\.jsonl line 2: not JSON"),
        (f"{A}\n[[32]]\n", r"designs\.jsonl line 2: not a design"),
        (f"{A}\n\n[[32,3]]\n", r"designs\.jsonl line 3: 1 layers, the first design has 6"),
        ("\n", "no designs; write one to a line"),
        ("[[32,3]]\n", r"1 convolutions; a workload with pools_after \[2, 4, 6\] takes 6 or more"),
        (
            f'{A}\n{{"layers":{A},"hardware":{{"mapping":"novel"}}}}\n',
            r"designs\.jsonl line 2: hardware mapping: fixed by the scenario and freed too",
        ),
    ],
)
def test_cost_names_the_line_that_is_wrong(tmp_path, text, message):
    designs = tmp_path / "designs.jsonl"
    designs.write_text(text)
    with pytest.raises(UsageError, match=message):
        cost(designs, tmp_path / "out.csv", SCENARIO)
    assert not (tmp_path / "out.csv").exists()


def test_cost_needs_the_files(tmp_path):
    with pytest.raises(UsageError, match="--designs"):
        cost(tmp_path / "absent.jsonl", tmp_path / "out.csv", SCENARIO)


def test_explain_ends_with_its_findings(capsys):
    assert explain(A, SCENARIO, NARROW) == 0
    found, out = last_json(capsys)
    assert found["findings"][0]["kind"] == "infeasible"
    assert out.startswith("B has no floorplan: ")
    with pytest.raises(UsageError, match="a design of 0 convolutions"):
        explain("[]", SCENARIO)


def test_validate_prints_a_table_and_fails_beyond_tolerance(tmp_path, capsys):
    import pandas as pd

    from cim_sim.cost_study import reference

    chip = pd.read_csv(reference.packaged() / "chip.csv.gz")
    chip = chip[(chip["hw_numRowSubArray"] == 128) & (chip["valid"] == 1)].iloc[:3].copy()
    layers = pd.read_csv(reference.packaged() / "layers.csv.gz")
    layers[layers["id"].isin(chip["id"])].to_csv(tmp_path / "layers.csv", index=False)
    chip.to_csv(tmp_path / "chip.csv", index=False)
    assert validate(tmp_path) == 0
    summary, out = last_json(capsys)
    assert (summary["rows"], summary["compared"], summary["passed"]) == (3, 3, True)
    assert "conventional, same" in out
    chip["area_um2"] *= 1.001
    chip.to_csv(tmp_path / "chip.csv", index=False)
    assert validate(tmp_path) == 1
    summary, out = last_json(capsys)
    assert not summary["passed"]
    assert "BEYOND TOLERANCE" in out
    chip = chip.assign(area_um2=chip["area_um2"] / 1.001, leakE_pJ=chip["leakE_pJ"] * 2)
    chip.to_csv(tmp_path / "chip.csv", index=False)
    assert validate(tmp_path) == 1
    assert "leakage energy: median error 5.00e-01 > 1e-05" in last_json(capsys)[1]
    chip.drop(columns="memUtil").to_csv(tmp_path / "chip.csv", index=False)
    with pytest.raises(UsageError, match=r"chip\.csv or layers\.csv has no column 'memUtil'"):
        validate(tmp_path)
    (tmp_path / "chip.csv").write_text("")
    with pytest.raises(UsageError, match=r"chip\.csv: not a table: "):
        validate(tmp_path)


def test_bench_says_how_fast(capsys):
    assert bench(batch=64, repeats=1) == 0
    found, _ = last_json(capsys)
    assert found["batch"] == 64
    assert found["designs_per_second"] > 0
    low, high = found["times_faster_than_neurosim"]
    assert high / low == pytest.approx(66 / 7, rel=1e-3)


def test_kernels_draws_and_answers(tmp_path, capsys):
    out = tmp_path / "kernels.png"
    assert kernels(out) == 0
    found, _ = last_json(capsys)
    assert out.read_bytes().startswith(b"\x89PNG")
    assert found["conventional, same"] == {
        "settings": 18,
        "5x5 fills worst": 7,
        "5x5 slowest": 0,
    }
    assert found["novel, stock"] == {"settings": 12, "5x5 fills worst": 0, "5x5 slowest": 9}


@pytest.mark.parametrize("name", ["k.foo", "k", "."])
def test_a_figure_is_a_png(name, tmp_path):
    with pytest.raises(
        UsageError, match=r"name a file that ends in \.png, as in runs/kernels\.png"
    ):
        kernels(tmp_path / name)


def test_the_5x5_question_of_the_reference_notes():
    curves = {
        (one.channels, one.hardware.subarray, one.hardware.mapping, one.hardware.pad): one
        for one in sweep()
    }
    stock = curves[(48, 128, "novel", "stock")]
    assert [round(ns / 1e3) for ns in stock.costs.latency_ns[1:]] == [537, 562, 541]
    assert curves[(96, 128, "novel", "stock")].five_is_slowest
    assert not curves[(48, 128, "novel", "same")].five_is_slowest
