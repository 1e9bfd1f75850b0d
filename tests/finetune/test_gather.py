"""Gathering: scenarios in chunks, the same whatever the chunk, by the source that is asked for."""

from pathlib import Path

from cim_sim.config import load
from finetune.gather import CHUNK, Chunk, DataRecipe, _chunks, evaluate_chunk
from finetune.traces import BENCH


def test_chunks_cover_each_scenario_once():
    recipe = load("configs/finetune/data.yaml", DataRecipe)
    chunks = list(_chunks(recipe))
    covered = [
        (chunk.source, number)
        for chunk in chunks
        for number in range(chunk.first, chunk.first + chunk.number)
    ]
    assert len(covered) == len(set(covered)) == 200 + 800
    assert max(chunk.number for chunk in chunks) == CHUNK


def test_a_scenario_does_not_depend_on_its_chunk():
    together = evaluate_chunk(Chunk("surrogate", 0, 2, BENCH))
    alone = evaluate_chunk(Chunk("surrogate", 1, 1, Path("unused")))
    assert together.tasks[1:] == alone.tasks
    second = alone.tasks[0].scenario.digest
    assert [row for row in together.traces if row.evaluation.scenario == second] == alone.traces
    assert {row.source for row in alone.traces} == {"surrogate"}


def test_bench_scenarios_are_answered_by_trainings():
    tasks, rows = evaluate_chunk(Chunk("bench", 0, 2, BENCH))
    assert {row.evaluation.scenario for row in rows} <= {task.scenario.digest for task in tasks}
    assert {row.source for row in rows} == {"bench"}
