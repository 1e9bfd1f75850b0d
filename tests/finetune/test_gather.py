"""Gathering: each task by itself, by the source that is asked for, and none twice."""

import pytest

from cim_sim.config import load
from cim_sim.paths import BENCH_TABLE
from finetune import gather
from finetune.gather import DataRecipe, evaluate, make_traces
from finetune.traces import read_traces
from search.study.family import tasks


def test_parts_cover_each_task_once(tmp_path):
    parts = list(gather._parts(load("configs/finetune/data.yaml", DataRecipe), tmp_path))
    assert len({part.folder for part in parts}) == len(parts)
    for source, count in (("bench", 200), ("surrogate", 800)):
        own = [part for part in parts if part.source == source]
        numbers = [number for p in own for number in range(p.first, p.first + p.tasks)]
        assert numbers == list(range(count))
    assert {part.bench for part in parts} == {BENCH_TABLE}


def test_what_a_part_holds_is_not_evaluated_again(tmp_path, monkeypatch):
    """An interrupted gathering leaves whole parts; the next call joins them in order."""
    monkeypatch.setattr(gather, "PART", 2)
    recipe = DataRecipe(surrogate_tasks=3, bench_tasks=1)
    parts = list(gather._parts(recipe, tmp_path / "parts"))
    for part in parts:
        evaluate(*part)
    alone = [read_traces(part.folder) for part in parts]
    monkeypatch.setattr(gather, "evaluate", "not to be called")
    made = make_traces(recipe, tmp_path)
    listed, traces = read_traces(tmp_path)
    assert listed == [task for found, _ in alone for task in found]
    assert listed[1:] == tasks("train", 3)
    assert traces == {key: rows for _, found in alone for key, rows in found.items()}
    rows = [row for found in traces.values() for row in found]
    feasible = sum(row.evaluation.reward is not None for row in rows)
    assert made == (4, len(rows), feasible)
    assert not (tmp_path / "parts").exists()


@pytest.mark.slow
def test_processes_gather_what_one_call_gathers(tmp_path):
    make_traces(DataRecipe(surrogate_tasks=2), tmp_path / "pool")
    evaluate("surrogate", 0, 2, BENCH_TABLE, tmp_path / "alone")
    assert read_traces(tmp_path / "pool") == read_traces(tmp_path / "alone")
    rows = [row for found in read_traces(tmp_path / "pool")[1].values() for row in found]
    assert {row.source for row in rows} == {"surrogate"}


def test_bench_scenarios_are_answered_by_trainings(tmp_path):
    evaluate("bench", 0, 3, BENCH_TABLE, tmp_path)
    listed, traces = read_traces(tmp_path)
    known = {(task.space.name, task.scenario.digest) for task in listed}
    assert set(traces) <= known
    assert {row.source for found in traces.values() for row in found} == {"bench"}
