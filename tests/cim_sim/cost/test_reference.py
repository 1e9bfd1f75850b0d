"""The model against what DNN+NeuroSim printed, and the reader of such rows."""

import shutil

import pytest

from cim_sim.config import UsageError
from cim_sim.cost_study import reference
from cim_sim.cost_study.validate import validate


@pytest.fixture(scope="module")
def report():
    return validate()


def test_every_supported_row_is_within_tolerance(report):
    assert report.failures == []
    summary = report.summary()
    assert (summary["rows"], summary["compared"], summary["unequal"]) == (589, 531, 0)
    assert summary["errors"]["latency"]["p99"] < 1e-6
    assert summary["errors"]["area"]["max"] < 1e-7
    assert summary["errors"]["leakage_energy"]["max"] < 2e-2
    assert summary["errors"]["dynamic_energy"]["rows"] == 474


def test_pipeline_mode_is_within_two_per_cent(report):
    summary = report.summary()
    assert summary["pipelined"] == 13
    worst = {name: spread["max"] for name, spread in summary["pipelined_errors"].items()}
    assert worst["latency"] < 4e-3
    assert worst["area"] < 6e-3
    assert worst["leakage_energy"] < 1e-2
    assert worst["dynamic_energy"] < 1e-2


def test_every_row_left_out_is_counted_by_reason(report):
    rows_left_out = {
        "sequential read": 12,
        "asynchronous": 10,
        "SAR ADC": 4,
        "activation inside tiles": 6,
        "high-performance roadmap": 6,
        "device resistance outside the table of constants": 6,
        "the program crashed": 1,
    }
    energy_only = {"energy of rows that the program read out of bounds": 24}
    assert report.skipped == rows_left_out | energy_only
    compared = len(report.comparisons) + len(report.pipelined)
    assert sum(rows_left_out.values()) + compared == report.rows


def test_a_wrong_number_fails(tmp_path, report):
    import pandas as pd

    chip = pd.read_csv(reference.packaged() / "chip.csv.gz")
    one = report.comparisons[0].case.chip["id"]
    chip.loc[chip["id"] == one, "latency_ns"] *= 1.01
    chip.loc[chip["id"] == one, "desiredNumTileCM"] += 1
    chip[chip["id"] == one].to_csv(tmp_path / "chip.csv", index=False)
    shutil.copy(reference.packaged() / "layers.csv.gz", tmp_path)
    failures = validate(tmp_path).failures
    assert any(f"{one}: conventional tiles" in failure for failure in failures)
    assert any(f"{one}: latency off by 9.90e-03 > 1e-06" in failure for failure in failures)


def test_a_folder_without_the_files_says_which(tmp_path):
    with pytest.raises(UsageError, match=r"neither chip\.csv nor chip\.csv\.gz"):
        validate(tmp_path)


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "chip.csv").write_text("id,design\nx,[]\n")
    (tmp_path / "layers.csv").write_text("id,layer\nx,1\n")
    with pytest.raises(UsageError, match="no column 'hw_operationmode'"):
        validate(tmp_path)
