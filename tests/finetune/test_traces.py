"""Traces: every accuracy comes from a training at the very noise of the scenario."""

import pytest

from cim_sim.config import UsageError
from cim_sim.evaluate import screen
from cim_sim.files import read_table, write_table
from finetune.traces import TRACES, bench_traces, read_bench, read_traces, write_traces
from search.study.family import tasks as family


@pytest.mark.slow
def test_each_trace_names_a_training_that_answers_the_scenario(trained_networks):
    known = {(one.key, one.query.adc): one for one in trained_networks}
    checked = 0
    for task in family("train", 200, bench_sigmas=True):
        for trace in bench_traces(task, trained_networks):
            query = task.scenario.query(trace.evaluation.design, task.space, seed=0)
            one = known[trace.evidence, query.adc]
            assert (query.layers, query.recipe.clip_rms) == (one.query.layers, 2.5)
            assert query.sigma == pytest.approx(one.query.sigma, abs=1e-4)
            assert query.training_sigma == pytest.approx(one.query.training_sigma, abs=1e-4)
            if trace.evaluation.accuracy is not None:
                assert trace.evaluation.accuracy == one.accuracy
                checked += 1
    assert checked > 20


def test_costs_and_rewards_are_the_simulators(tasks, traces):
    task = max(tasks, key=lambda p: len(traces[p.space.name, p.scenario.digest]))
    rows = traces[task.space.name, task.scenario.digest]
    again = screen([row.evaluation.design for row in rows], task.scenario)
    assert [one.cost for one in again] == [row.evaluation.cost for row in rows]
    for row in rows:
        one = row.evaluation
        if one.reward is not None:
            assert one.reward == task.scenario.objective.reward(one.accuracy.mean, one.cost)
        else:
            assert one.infeasible.kind in ("floorplan", "area", "accuracy")


def test_traces_come_back_from_their_files(tasks, traces, tmp_path):
    every = [trace for rows in traces.values() for trace in rows]
    write_traces(tmp_path, tasks, every)
    again, found = read_traces(tmp_path)
    assert again == tasks
    assert found == {key: rows for key, rows in traces.items() if rows}


def test_a_missing_bench_says_how_to_make_one(tmp_path):
    with pytest.raises(UsageError, match=r"no table of an accuracy bench; make one: make bench"):
        read_bench(tmp_path / "none.parquet")


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        (("evaluation", "{"), "row 1: not an evaluation: Invalid JSON"),
        (("evaluation", None), "row 1: not an evaluation: JSON input should be"),
        (
            ("space", "elsewhere"),
            "row 1: its task is not in scenarios.jsonl; make the traces again",
        ),
    ],
)
def test_a_damaged_row_is_named(tasks, traces, tmp_path, cell, fault):
    rows = traces[tasks[0].space.name, tasks[0].scenario.digest][:2]
    write_traces(tmp_path, tasks[:1], rows)
    table = read_table(tmp_path / TRACES)
    table.loc[0, cell[0]] = cell[1]
    write_table(tmp_path / TRACES, table)
    with pytest.raises(UsageError, match=rf"traces\.parquet, {fault}"):
        read_traces(tmp_path)


def test_a_design_outside_the_space_of_its_task_is_named(tasks, traces, tmp_path):
    rows = traces[tasks[0].space.name, tasks[0].scenario.digest][:1]
    narrow = tasks[0].space.model_copy(update={"channels": (8,)})
    write_traces(tmp_path, [tasks[0].model_copy(update={"space": narrow})], rows)
    with pytest.raises(UsageError, match=r"row 1: layer 1: channels \d+ not in \{8\}"):
        read_traces(tmp_path)


def test_traces_of_nothing_are_still_a_table(tasks, tmp_path):
    write_traces(tmp_path, tasks[:1], [])
    assert read_traces(tmp_path) == ([tasks[0]], {})
