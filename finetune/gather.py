"""Evaluates training tasks side by side: what a fine-tuning learns from."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cim_sim.config import Config
from cim_sim.types import Count, Natural
from cim_sim.workers import each
from finetune.dataset import DatasetRecipe
from finetune.traces import BENCH, Source, Trace, bench_traces, read_bench, write_traces
from search.record.tasks import Task

CHUNK = 10
"""Tasks that a process of the pool evaluates at a time."""


class DataRecipe(Config):
    """Which tasks are evaluated, by what, and how conversations are drawn: data.yaml."""

    bench: Path = BENCH
    """Accuracy bench: the trained networks."""
    bench_tasks: Natural = 0
    """Training tasks in the space `embedded` at the noise levels of the bench."""
    surrogate_tasks: Natural = 0
    """Training tasks of all spaces, searched under the surrogate of the bench."""
    dataset: DatasetRecipe = DatasetRecipe()
    workers: Count = 2


class Chunk(NamedTuple):
    """A few tasks, evaluated by one source."""

    source: Source
    first: int
    number: int
    bench: Path


class Evaluated(NamedTuple):
    """Tasks, and what became of designs in them."""

    tasks: list[Task]
    traces: list[Trace]


def make_traces(recipe: DataRecipe, out: Path) -> Evaluated:
    """Evaluate all training tasks of a recipe, and write them and their traces to `out`."""
    chunks = list(_chunks(recipe))
    total = sum(chunk.number for chunk in chunks)
    parts: dict[int, Evaluated] = {}
    for number, part in each(evaluate_chunk, [(chunk,) for chunk in chunks], recipe.workers):
        parts[number] = part
        if len(parts) % 10 == 0 or len(parts) == len(chunks):
            scenarios = sum(len(done.tasks) for done in parts.values())
            evaluations = sum(len(done.traces) for done in parts.values())
            print(f"{scenarios} of {total} tasks, {evaluations} evaluations")
    ordered = [parts[number] for number in sorted(parts)]  # as listed, not as they ended
    whole = Evaluated(
        [task for part in ordered for task in part.tasks],
        [trace for part in ordered for trace in part.traces],
    )
    write_traces(out, whole.tasks, whole.traces)
    return whole


def evaluate_chunk(chunk: Chunk) -> Evaluated:
    """Evaluate the tasks of one chunk; runs in a process of the pool."""
    from search.study.family import tasks

    bench = chunk.source == "bench"
    drawn = tasks("train", chunk.number, first=chunk.first, bench_sigmas=bench)
    if bench:
        trained = read_bench(chunk.bench)
        return Evaluated(drawn, [row for task in drawn for row in bench_traces(task, trained)])
    return Evaluated(drawn, list(_searched(drawn, chunk.first)))


def _searched(tasks: list[Task], first: int) -> Iterator[Trace]:
    from cim_sim.accuracy.surrogate import model as surrogate
    from finetune.targets import surrogate_traces

    for number, task in enumerate(tasks, start=first):
        yield from surrogate_traces(task, surrogate.load(), np.random.default_rng(number))


def _chunks(recipe: DataRecipe) -> Iterator[Chunk]:
    wanted: list[tuple[Source, int]] = [
        ("bench", recipe.bench_tasks),
        ("surrogate", recipe.surrogate_tasks),
    ]
    for source, count in wanted:
        for first in range(0, count, CHUNK):
            yield Chunk(source, first, min(CHUNK, count - first), recipe.bench)
