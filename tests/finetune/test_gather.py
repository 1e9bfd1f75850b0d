"""Gathering: each task by itself, by the source that is asked for, and none twice."""

import pytest

from cim_sim.config import UsageError
from cim_sim.paths import BENCH_TABLE
from finetune import gather
from finetune.commands.traces import traces as traces_verb
from finetune.dataset import behind
from finetune.gather import DataRecipe, evaluate, make_traces
from finetune.traces import read_traces
from search.evaluators import build
from search.execute import execute, resolved
from search.record.given import regression
from search.record.manifest import RunConfig
from search.record.runs import read_run
from search.study.family import tasks


def test_parts_cover_each_task_once(tmp_path):
    parts = list(gather._parts(DataRecipe(bench_tasks=200, surrogate_tasks=330), tmp_path))
    assert len({part.folder for part in parts}) == len(parts)
    for source, count in (("bench", 200), ("surrogate", 330)):
        own = [part for part in parts if part.source == source]
        numbers = [number for p in own for number in range(p.first, p.first + p.tasks)]
        assert numbers == list(range(count))
    assert {part.bench for part in parts} == {BENCH_TABLE}


def test_what_a_part_holds_is_not_evaluated_again(tmp_path, monkeypatch):
    """An interrupted gathering leaves whole parts; the next call joins them from `first` on."""
    monkeypatch.setattr(gather, "PART", 2)
    recipe = DataRecipe(surrogate_tasks=3, bench_tasks=1, first=5)
    parts = list(gather._parts(recipe, tmp_path / "parts"))
    for part in parts:
        evaluate(*part)
    alone = [read_traces(part.folder) for part in parts]
    monkeypatch.setattr(gather, "evaluate", "not to be called")
    made = make_traces(recipe, tmp_path)
    listed, traces = read_traces(tmp_path)
    assert listed == [task for found, _ in alone for task in found]
    assert listed[1:] == tasks("train", 3, first=5)
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


def searched(out, seed, scenario="embedded-energy", episodes=8):
    """Do a small search under the surrogate."""
    config = resolved(
        RunConfig(
            optimizer="random",
            scenario=f"configs/scenarios/{scenario}.yaml",
            space="configs/spaces/embedded.yaml",
            evaluator="surrogate",
            episodes=episodes,
            seed=seed,
        )
    )
    judge = build(config.scenario, config.space, config, out.parent / "cache.sqlite")
    execute(config, judge, out)
    return read_run(out)


def test_past_searches_become_traces(tmp_path, capsys):
    """Two searches of one scenario are one task; each evaluation is counted and names its judge."""
    runs = [searched(tmp_path / "sweep" / f"seed{seed}", seed) for seed in (0, 1)]
    runs.append(searched(tmp_path / "other", 0, "embedded-latency"))
    places = (tmp_path / "sweep", tmp_path / "other")
    assert traces_verb(tmp_path / "data", runs=places, only_runs=True) == 0
    listed, found = read_traces(tmp_path / "data")
    assert [task.scenario for task in listed] == [runs[0].config.scenario, runs[2].config.scenario]
    evaluations = [
        [trial.evaluation for run in part for trial in run.trials if trial.duplicate_of is None]
        for part in (runs[:2], runs[2:])
    ]
    assert [[row.evaluation for row in rows] for rows in found.values()] == evaluations
    rows = [row for rows in found.values() for row in rows]
    assert {row.source for row in rows} == {"run"}
    evidence = f"surrogate {runs[0].manifest.digests.evaluator}"
    assert {row.evidence for row in rows} == {evidence}
    count = sum(map(len, evaluations))
    assert behind(found) == regression(count)
    assert f'"tasks": 2, "evaluations": {count}' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "no traces: give bench_tasks, surrogate_tasks, runs or tables"),
        ({"runs": ("none",)}, "none: no run in or below it .manifest.json beside trials.jsonl."),
    ],
)
def test_nothing_to_gather_is_refused(changes, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        make_traces(DataRecipe(**changes), tmp_path)
