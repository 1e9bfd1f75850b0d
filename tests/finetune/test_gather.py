"""Gathering: each scenario by itself, by the source that is asked for."""

from pathlib import Path

import pytest

from cim_sim.config import load
from cim_sim.paths import BENCH_TABLE
from finetune.gather import DataRecipe, _jobs, evaluate, make_traces
from finetune.traces import read_traces


def test_jobs_cover_each_task_once():
    jobs = list(_jobs(load("configs/finetune/data.yaml", DataRecipe)))
    assert len(jobs) == len(set(jobs)) == 200 + 800
    assert {bench for *_, bench in jobs} == {BENCH_TABLE}


@pytest.mark.slow
def test_tasks_are_written_in_the_order_of_the_recipe(tmp_path):
    recipe = DataRecipe(surrogate_tasks=2, bench_tasks=1)
    written = make_traces(recipe, tmp_path)
    assert read_traces(tmp_path)[0] == [evaluated.task for evaluated in written]
    alone = evaluate("surrogate", 1, Path("unused"))
    assert written[2] == alone
    assert {row.source for row in alone.traces} == {"surrogate"}
    assert {row.evaluation.scenario for row in alone.traces} == {alone.task.scenario.digest}


def test_bench_scenarios_are_answered_by_trainings():
    task, rows = evaluate("bench", 0, BENCH_TABLE)
    assert {row.evaluation.scenario for row in rows} <= {task.scenario.digest}
    assert {row.source for row in rows} == {"bench"}
