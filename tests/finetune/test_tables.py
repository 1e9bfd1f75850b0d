"""What other programs evaluated becomes traces."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import optuna
import pandas as pd
import pytest
import yaml

from cim_sim.config import UsageError, parse
from finetune.commands.dataset import dataset as dataset_verb
from finetune.commands.traces import traces as traces_verb
from finetune.tables import OtherTable, table_traces
from finetune.traces import read_traces, run_traces
from search.evaluators import build
from search.execute import execute
from search.record.manifest import RunConfig
from search.record.runs import read_run
from search.study.export import to_optuna

ARRAY = {
    "space": {"name": "arrays", "choices": {"tile": [8, 16, 32], "flow": ["ws", "os"]}},
    "scenario": {
        "name": "layer",
        "choose": "an array",
        "facts": {"rows": 64},
        "objective": "frames per second",
    },
}
CSV = """\
TILE,flow,depth,score,why
8,ws,2,0.5,
16.0,os,2,0.75,
32,ws,2,,too large
8,ws,3,0.25,
"""
COLUMNS = {"tile": "TILE", "reward": "score", "infeasible": "why"}


def table(file, **changes):
    return parse({"file": str(file), **ARRAY, **changes}, OtherTable, "table")


@pytest.fixture
def csv(tmp_path):
    file = tmp_path / "past.csv"
    file.write_text(CSV)
    return file


def told(traces):
    return [
        (dict(one.evaluation.design.named), one.evaluation.reward, one.evaluation.infeasible)
        for one in traces
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_become_evaluations_and_facts_part_them_into_scenarios(csv, suffix):
    file = csv.with_suffix(suffix)
    if suffix == ".parquet":
        pd.read_csv(csv).to_parquet(file)
    found = list(table_traces(table(file, columns=COLUMNS, facts={"depth": "depth"})))
    assert [(task.name, dict(task.scenario.facts)) for task, _ in found] == [
        ("layer depth=2", {"rows": 64, "depth": 2}),
        ("layer depth=3", {"rows": 64, "depth": 3}),
    ]
    (first, early), (_, late) = found
    *feasible, (design, reward, fault) = told(early)
    assert feasible == [
        ({"tile": 8, "flow": "ws"}, 0.5, None),
        ({"tile": 16, "flow": "os"}, 0.75, None),
    ]
    assert (design, reward, fault.reason) == ({"tile": 32, "flow": "ws"}, None, "too large")
    assert told(late) == [({"tile": 8, "flow": "ws"}, 0.25, None)]
    assert {one.evaluation.scenario for one in early} == {first.scenario.digest}
    assert {(one.space, one.source) for one in early} == {("arrays", "table")}
    assert early[0].evidence.startswith(f"past{suffix} ")


@pytest.mark.parametrize(
    ("changes", "text", "fault"),
    [
        (
            {},
            CSV,
            r"past\.csv: no column tile, reward; there are TILE, flow, depth, score, why",
        ),
        ({"columns": {"til": "TILE"}}, CSV, r"columns\.til is none of tile, flow, reward, infeas"),
        (
            {"columns": COLUMNS},
            CSV.replace("32,ws", "64,ws"),
            r"past\.csv, row 3: tile 64 is none of 8, 16, 32",
        ),
        (
            {"columns": COLUMNS},
            CSV.replace("too large", ""),
            r"past\.csv, row 3: neither reward nor infeasible",
        ),
        (
            {"columns": COLUMNS},
            CSV.replace("0.75", "good"),
            r"past\.csv, row 2: reward 'good' is no number",
        ),
        ({}, "", r"past\.csv: not a CSV file that can be read: No columns"),
        ({"file": "past.xlsx"}, CSV, r"past\.xlsx: expected a file that ends in \.csv, \.parquet"),
        ({"file": "none.csv"}, CSV, r"none\.csv: No such file"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(csv, changes, text, fault):
    csv.write_text(text)
    with pytest.raises(UsageError, match=fault):
        list(table_traces(table(**{"file": csv, **changes})))


NAMED = {
    "space": {
        "name": "kernels",
        "choices": {"skip": ["true", "false"], "region": ["NA", "EU"], "lane": ["08", "8", "16"]},
    }
}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_names_that_look_like_something_else_are_names(tmp_path, suffix):
    file = tmp_path / "past.csv"
    file.write_text(
        "skip,region,lane,reward,flag\ntrue,NA,08,nan,1\nFALSE,EU,8,1e-1,2\nFalse,NA,16.0,2,3\n"
        if suffix == ".csv"
        else "skip,region,lane,reward,flag\ntrue,NA,08,,1\nfalse,EU,8,0.1,2\nfalse,NA,16,2,3\n"
    )
    if suffix == ".parquet":
        rows = pd.read_csv(file, dtype={"lane": str}, keep_default_na=False, na_values=[""])
        rows = rows.assign(reward=rows["reward"].astype(float))
        assert rows["skip"].dtype == bool
        file = file.with_suffix(suffix)
        rows.assign(infeasible=["too large", None, None]).to_parquet(file)
    else:
        lines = file.read_text().splitlines()
        lines = [
            lines[0] + ",infeasible",
            lines[1] + ",too large",
            lines[2] + ",",
            lines[3] + ",NA",
        ]
        file.write_text("\n".join(lines))
    found = list(table_traces(table(file, **NAMED, facts={"flag": "flag"})))
    assert [(told(traces)[0][:2], dict(task.scenario.facts)["flag"]) for task, traces in found] == [
        (({"skip": "true", "region": "NA", "lane": "08"}, None), 1),
        (({"skip": "false", "region": "EU", "lane": "8"}, 0.1), 2),
        (({"skip": "false", "region": "NA", "lane": "16"}, 2.0), 3),
    ]


def test_an_empty_cell_chooses_nothing(tmp_path):
    file = tmp_path / "past.csv"
    file.write_text("skip,region,lane,reward\ntrue,,8,1\n")
    with pytest.raises(UsageError, match="row 1: region None is none of NA, EU"):
        list(table_traces(table(file, **NAMED)))


def test_a_truth_value_is_a_fact(tmp_path):
    file = tmp_path / "past.parquet"
    pd.DataFrame({"tile": [8], "flow": ["ws"], "reward": [1.0], "cached": [True]}).to_parquet(file)
    [(task, _)] = table_traces(table(file, facts={"cached": "cached"}))
    assert dict(task.scenario.facts) == {"rows": 64, "cached": "true"}


def test_a_plan_reads_the_tables(csv):
    from finetune.commands.traces import traces as verb

    file = csv.with_suffix(".yaml")
    file.write_text(yaml.safe_dump({"tables": [{"file": str(csv), **ARRAY}]}))
    with pytest.raises(UsageError, match="no column tile, reward; there are TILE, flow, depth"):
        verb(csv.parent / "out", file, dry_run=True)


def test_a_database_of_another_kind_is_refused(tmp_path):
    (tmp_path / "study.db").write_text("no database")
    with pytest.raises(UsageError, match=r"study\.db: not a database in which Optuna keeps"):
        list(table_traces(table(tmp_path / "study.db")))


def test_a_scenario_of_this_simulator_has_no_facts():
    chip = {
        "space": "configs/spaces/embedded.yaml",
        "scenario": "configs/scenarios/embedded-energy.yaml",
    }
    with pytest.raises(UsageError, match="only a scenario of your own has facts"):
        table("past.csv", **chip, facts={"depth": "depth"})
    with pytest.raises(UsageError, match="the space is your own, so the scenario must be too"):
        table("past.csv", scenario=chip["scenario"])


def test_a_study_of_optuna_is_read_and_a_loss_turned_round(tmp_path):
    file = tmp_path / "study.db"
    storage = f"sqlite:///{file}"
    study = optuna.create_study(study_name="mine", storage=storage, direction="minimize")
    study.enqueue_trial({"tile": 16, "flow": "os"})
    study.enqueue_trial({"tile": 8, "flow": "ws"})

    def loss(trial):
        tile = trial.suggest_categorical("tile", [8, 16, 32])
        trial.suggest_categorical("flow", ["ws", "os"])
        if tile == 8:
            trial.set_user_attr("why", "too small")
        return tile / 10

    study.optimize(loss, n_trials=2)
    columns = {"infeasible": "why"}
    ((_, traces),) = table_traces(table(file, columns=columns))
    (best, reward, fault), (_, none, reason) = told(traces)
    assert (best, reward, fault) == ({"tile": 16, "flow": "os"}, -1.6, None)
    assert (none, reason.reason) == (None, "too small")
    with pytest.raises(UsageError, match=r"no study yours; `study` may be one of: mine"):
        list(table_traces(table(file, study="yours")))
    optuna.create_study(study_name="two", storage=storage, directions=["minimize", "maximize"])
    with pytest.raises(UsageError, match="no study is named; `study` may be one of: mine, two"):
        list(table_traces(table(file)))
    with pytest.raises(UsageError, match="study two has several objectives"):
        list(table_traces(table(file, study="two")))


def test_an_exported_search_comes_back_as_it_was(tmp_path):
    """Cost, limits and reward are the simulator's; the file has no more than the accuracy."""
    data = {
        "optimizer": "random",
        "episodes": 40,
        "evaluator": "surrogate",
        "space": "configs/spaces/embedded.yaml",
        "scenario": "configs/scenarios/embedded-latency.yaml",
    }
    config = parse(data, RunConfig, "run")
    execute(config, build(config.scenario, config.space, config), tmp_path / "run")
    run = read_run(tmp_path / "run")
    to_optuna([run], tmp_path / "study.db")
    chip = {name: data[name] for name in ("space", "scenario")}
    ((task, traces),) = table_traces(table(tmp_path / "study.db", **chip))
    assert task == config.task
    kept = [(one.evaluation.design, one.reward) for one in run_traces(run)]
    assert len({np.isfinite(reward) for _, reward in kept}) == 2, "feasible ones, and others"
    assert [(one.evaluation.design, one.reward) for one in traces] == kept


def test_tables_become_a_data_set(csv, tmp_path, capsys):
    recipe = {
        "tables": [{"file": str(csv), **ARRAY, "columns": COLUMNS, "facts": {"depth": "depth"}}],
        "dataset": {"style": "dialogue", "examples": 2, "held_out": 0.5},
    }
    config, out = tmp_path / "data.yaml", tmp_path / "data"
    config.write_text(yaml.safe_dump(recipe))
    assert traces_verb(out, config, dry_run=True) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(said)["tables"] == str(csv)
    assert traces_verb(out, config) == 0
    tasks, traces = read_traces(out)
    assert [task.name for task in tasks] == ["layer depth=2", "layer depth=3"]
    assert sum(map(len, traces.values())) == 4
    assert dataset_verb(out, config) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["sources"]) == {"table"}
    assert manifest["given"]["trace_evaluations"] == 4


def test_a_column_of_truth_values_says_which_rows_are_infeasible(tmp_path):
    file = tmp_path / "past.csv"
    file.write_text("tile,flow,reward,infeasible\n8,ws,0.5,False\n16,os,0.7,0\n32,ws,0.9,True\n")
    ((_, traces),) = table_traces(table(file))
    assert [one.evaluation.reward for one in traces] == [0.5, 0.7, None]
    assert traces[2].evaluation.infeasible.reason == "infeasible"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tile,flow,reward\n8,ws,0.5,9\n16,ws,0.5,9\n", "not a CSV file that can be read"),
        ("tile,flow,reward\n8,ws,inf\n", "row 1: reward inf is not within 1e\\+20 of 0"),
        ("tile,flow,reward\n8,ws,1e300\n", "row 1: reward 1e\\+300 is not within"),
        ("tile,flow,reward\n8,ws," + "9" * 400 + "\n", "row 1: reward"),
    ],
)
def test_a_row_that_would_be_misread_is_named(tmp_path, text, fault):
    file = tmp_path / "past.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match=fault):
        list(table_traces(table(file)))


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        (np.array([1, 2]), "row 1: fact depth: expected a number or a line of text"),
        ({"a": 1}, "row 1: fact depth: expected"),
        (None, "row 1: fact depth: expected"),
        ("a\nb", "row 1: fact depth: expected"),
    ],
)
def test_a_fact_is_a_number_or_a_line(tmp_path, cell, fault):
    file = tmp_path / "past.parquet"
    pd.DataFrame({"tile": [8], "flow": ["ws"], "reward": [1.0], "d": [cell]}).to_parquet(file)
    with pytest.raises(UsageError, match=fault):
        list(table_traces(table(file, facts={"depth": "d"})))


def test_a_database_is_only_read_whatever_its_name(tmp_path):
    file = tmp_path / "a%41?b.db"
    with closing(sqlite3.connect(tmp_path / "plain.db")) as made:
        made.execute("create table mine (x)")
    (tmp_path / "plain.db").rename(file)
    before = file.read_bytes()
    with pytest.raises(UsageError, match="not a database in which Optuna keeps studies: no such"):
        list(table_traces(table(file)))
    assert file.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [file.name]
    file.write_bytes(before[:50])
    with pytest.raises(UsageError, match="not a database in which Optuna keeps studies"):
        list(table_traces(table(file)))


def test_a_study_is_read_and_left_as_it_was(tmp_path):
    made = optuna.create_study(study_name="s", storage=f"sqlite:///{tmp_path / 'made.db'}")
    spread = {"tile": optuna.distributions.CategoricalDistribution([8, 16, 32])}
    spread["flow"] = optuna.distributions.CategoricalDistribution(["ws", "os"])
    trial = optuna.trial.create_trial(
        params={"tile": 8, "flow": "ws"}, distributions=spread, value=2.0
    )
    made.add_trial(trial)
    file = tmp_path / "b?c.db"
    (tmp_path / "made.db").rename(file)
    before = file.read_bytes()
    ((_, (trace,)),) = table_traces(table(file))
    assert trace.evaluation.reward == -2.0
    assert file.read_bytes() == before
