"""The verb `export`: Optuna studies, read back with Optuna, and the data set of trajectories."""

import json
import re
import sqlite3
import sys
from contextlib import closing
from datetime import datetime

import optuna
import pandas as pd
import pytest

from search.__main__ import main
from search.record.runs import read_run


@pytest.fixture
def export(monkeypatch, capsys):
    def type_in(*words):
        monkeypatch.setattr(sys, "argv", ["search", "export", *map(str, words)])
        code = main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return type_in


def test_a_study_holds_every_trial_of_its_run(run_of, export, tmp_path):
    run_of(tmp_path / "runs" / "a", episodes=15)
    run_of(tmp_path / "runs" / "b", episodes=5, seed=1)
    (tmp_path / "runs" / "adapter").mkdir()
    (tmp_path / "runs" / "adapter" / "manifest.json").write_text("{}")
    database = tmp_path / "study.db"
    code, out, err = export(tmp_path / "runs", "--to", "optuna", "--out", database)
    assert (code, err) == (0, "")
    assert json.loads(out) == {"out": str(database), "studies": 2, "trials": 20}
    storage = f"sqlite:///{database}"
    record = read_run(tmp_path / "runs" / "a")
    name = next(one for one in optuna.get_all_study_names(storage) if one.endswith("/runs/a"))
    study = optuna.load_study(study_name=name, storage=storage)
    assert study.best_value == max(trial.score for trial in record.trials if trial.feasible)
    for theirs, ours in zip(study.trials, record.trials, strict=True):
        assert theirs.value == ours.score
        assert theirs.params["layer1.channels"] == ours.design.layers[0].channels
        assert theirs.params["layer6.kernel"] == ours.design.layers[5].kernel
        violated = any(amount > 0 for amount in theirs.constraints.values())
        assert violated == (not ours.feasible)
        assert theirs.user_attrs["step"] == ours.step
        assert theirs.datetime_start.astimezone() == datetime.fromisoformat(ours.started_at)
        assert theirs.duration.total_seconds() == pytest.approx(ours.seconds, abs=1e-5)


def test_an_export_lands_whole_and_where_it_is_told(run_of, export, tmp_path):
    run_of(tmp_path / "run", episodes=2)
    database = tmp_path / "a%41?b.db"
    assert export(tmp_path / "run", "--to", "optuna", "--out", database)[0] == 0
    with closing(sqlite3.connect(database)) as made:
        assert made.execute("select count(*) from trials").fetchone() == (2,)
    trials = tmp_path / "run" / "trials.jsonl"
    trials.write_text(re.sub(r'"started_at":"[^"]*"', '"started_at":"noon"', trials.read_text()))
    code, _, err = export(tmp_path / "run", "--to", "optuna", "--out", tmp_path / "other.db")
    assert code == 2
    assert "trials.jsonl:1: no time: 'noon', 0" in err
    assert sorted(one.name for one in tmp_path.iterdir()) == [database.name, "run"]


def test_a_run_that_is_named_twice_is_one_study(run_of, export, tmp_path):
    run_of(tmp_path / "runs" / "a", episodes=2)
    runs = (tmp_path / "runs", tmp_path / "runs" / "a")
    code, out, _ = export(*runs, "--to", "optuna", "--out", tmp_path / "study.db")
    assert (code, json.loads(out)["studies"]) == (0, 1)


def test_what_cannot_be_exported_is_said(run_of, export, tmp_path):
    code, _, err = export(tmp_path, "--to", "optuna", "--out", tmp_path / "study.db")
    assert (code, err) == (2, f"no run in {tmp_path}\n")
    run_of(tmp_path / "run", episodes=2)
    (tmp_path / "study.db").write_text("mine")
    code, _, err = export(tmp_path / "run", "--to", "optuna", "--out", tmp_path / "study.db")
    assert (code, err) == (2, f"{tmp_path / 'study.db'}: is there already; name a new file\n")
    assert (tmp_path / "study.db").read_text() == "mine"
    code, _, err = export(tmp_path / "run", "--to", "optuna", "--out", "/proc/study.db")
    assert (code, err) == (1, "/proc/study.db: No such file or directory\n")


def test_runs_of_several_places_make_one_data_set(run_of, export, tmp_path):
    run_of(tmp_path / "first" / "a", episodes=3)
    run_of(tmp_path / "second" / "b", episodes=2, seed=1)
    out = tmp_path / "data"
    places = (tmp_path / "first", tmp_path / "second", tmp_path / "first" / "a")
    code, said, err = export(*places, "--to", "dataset", "--out", out)
    assert (code, err) == (0, "")
    assert json.loads(said) == {"out": str(out), "runs": 2, "trials": 5, "splits": {"test": 5}}
    table = pd.read_parquet(out / "trajectories.parquet")
    assert list(table["source"]) == ["first"] * 3 + ["second"] * 2
    code, _, err = export(*places, "--to", "dataset", "--out", out)
    assert (code, err) == (2, f"{out}: is not empty; name a new directory\n")


def test_what_makes_no_data_set_is_said(own, export, tmp_path):
    space = {"name": "arrays", "choices": {"tile": [4, 8], "dataflow": ["ws", "os"]}}
    named = {"name": "arrays", "choices": {"tile": ["4", "8"], "dataflow": ["ws", "os"]}}
    toy = "def evaluate(design, facts, seed):\n    return {'reward': 1}\n"
    (tmp_path / "other_toy.py").write_text(toy)
    judge = {"python": "other_toy:evaluate"}
    own(tmp_path / "runs" / "a", episodes=2, space=space, evaluator=judge)
    own(tmp_path / "runs" / "b", episodes=2, space=named, evaluator=judge)
    code, _, err = export(tmp_path / "runs", "--to", "dataset", "--out", tmp_path / "data")
    assert code == 2
    assert err == (
        "parameter tile is a number in one run and a name in another; export these runs apart\n"
    )
    assert not (tmp_path / "data").exists()
    (tmp_path / "runs" / "a" / "trials.jsonl").write_text("")
    begun = tmp_path / "runs" / "a"
    code, _, err = export(begun, "--to", "dataset", "--out", tmp_path / "data")
    assert (code, err) == (2, "none of these runs has recorded a trial yet\n")
