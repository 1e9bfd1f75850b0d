"""Evaluates training tasks side by side: what a fine-tuning learns from."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cim_sim.config import Config
from cim_sim.paths import BENCH_TABLE
from cim_sim.types import Count, Natural
from cim_sim.workers import each
from finetune.dataset import DatasetRecipe
from finetune.traces import Source, Trace, bench_traces, read_bench, write_traces
from search.record.tasks import Task


class DataRecipe(Config):
    """Which tasks are evaluated, by what, and how conversations are drawn: data.yaml."""

    bench: Path = BENCH_TABLE
    """Parquet table of the accuracy bench: the trained networks."""
    bench_tasks: Natural = 0
    """Training tasks in the space `embedded` at the noise levels of the bench."""
    surrogate_tasks: Natural = 0
    """Training tasks of all spaces, searched under the surrogate of the bench."""
    dataset: DatasetRecipe = DatasetRecipe()
    workers: Count = 2


class Evaluated(NamedTuple):
    """A task, and what became of designs in it."""

    task: Task
    traces: list[Trace]


def make_traces(recipe: DataRecipe, out: Path) -> list[Evaluated]:
    """Evaluate all training tasks of a recipe, and write them and their traces to `out`."""
    jobs = list(_jobs(recipe))
    done: dict[int, Evaluated] = {}
    for number, evaluated in each(evaluate, jobs, recipe.workers):
        done[number] = evaluated
        if len(done) % 100 == 0 or len(done) == len(jobs):
            evaluations = sum(len(part.traces) for part in done.values())
            print(f"{len(done)} of {len(jobs)} tasks, {evaluations} evaluations", flush=True)
    ordered = [done[number] for number in sorted(done)]  # as listed, not as they ended
    traces = [trace for part in ordered for trace in part.traces]
    write_traces(out, [part.task for part in ordered], traces)
    return ordered


def evaluate(source: Source, number: int, bench: Path) -> Evaluated:
    """Evaluate the training task of that number; runs in a process of the pool."""
    from cim_sim.accuracy.surrogate import model as surrogate
    from finetune.targets import surrogate_traces
    from search.study.family import tasks

    [task] = tasks("train", 1, first=number, bench_sigmas=source == "bench")
    if source == "bench":
        return Evaluated(task, list(bench_traces(task, _trained(bench))))
    rng = np.random.default_rng(number)
    return Evaluated(task, list(surrogate_traces(task, surrogate.load(), rng)))


_trained = cache(read_bench)
"""Each process reads the table once."""


def _jobs(recipe: DataRecipe) -> Iterator[tuple[Source, int, Path]]:
    """Yield the arguments of `evaluate` for each task."""
    wanted: dict[Source, int] = {"bench": recipe.bench_tasks, "surrogate": recipe.surrogate_tasks}
    for source, count in wanted.items():
        yield from ((source, number, recipe.bench) for number in range(count))
