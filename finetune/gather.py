"""Evaluates training scenarios side by side: what a fine-tuning learns from."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field

from cim_sim.config import Config, load
from cim_sim.space import Space
from cim_sim.types import Count, Natural
from cim_sim.workers import each
from finetune.dataset import DatasetRecipe
from finetune.traces import BENCH, Source, Task, Trace, bench_traces, read_bench, write_traces

CHUNK = 10
"""Scenarios that a process of the pool evaluates at a time."""


class DataRecipe(Config):
    """Which scenarios are evaluated, by what, and how conversations are drawn: data.yaml."""

    bench: Path = BENCH
    """Accuracy bench: the trained networks."""
    bench_scenarios: dict[str, Natural] = Field(default_factory=dict)
    """Training scenarios of each space in configs/spaces/ at the noise levels of the bench."""
    surrogate_scenarios: dict[str, Natural] = Field(default_factory=dict)
    """Training scenarios of each space, searched under the surrogate of the bench."""
    dataset: DatasetRecipe = DatasetRecipe()
    workers: Count = 2


class Chunk(NamedTuple):
    """A few scenarios of one space, evaluated by one source."""

    source: Source
    space: str
    first: int
    number: int
    bench: Path


class Evaluated(NamedTuple):
    """Scenarios with their spaces, and what became of designs in them."""

    tasks: list[Task]
    traces: list[Trace]


def make_traces(recipe: DataRecipe, out: Path) -> Evaluated:
    """Evaluate all training scenarios of a recipe, and write them and their traces to `out`."""
    chunks = list(_chunks(recipe))
    total = sum(chunk.number for chunk in chunks)
    parts: dict[int, Evaluated] = {}
    for number, part in each(evaluate_chunk, [(chunk,) for chunk in chunks], recipe.workers):
        parts[number] = part
        if len(parts) % 10 == 0 or len(parts) == len(chunks):
            scenarios = sum(len(done.tasks) for done in parts.values())
            evaluations = sum(len(done.traces) for done in parts.values())
            print(f"{scenarios} of {total} scenarios, {evaluations} evaluations")
    ordered = [parts[number] for number in sorted(parts)]  # as listed, not as they ended
    whole = Evaluated(
        [task for part in ordered for task in part.tasks],
        [trace for part in ordered for trace in part.traces],
    )
    write_traces(out, whole.tasks, whole.traces)
    return whole


def evaluate_chunk(chunk: Chunk) -> Evaluated:
    """Evaluate the scenarios of one chunk; runs in a process of the pool."""
    from search.study.family import scenarios

    space = load(Path("configs/spaces") / f"{chunk.space}.yaml", Space)
    bench = chunk.source == "bench"
    family = scenarios("train", chunk.number, space, first=chunk.first, bench_sigmas=bench)
    tasks = [Task(space=space, scenario=scenario) for scenario in family]
    if bench:
        trained = read_bench(chunk.bench)
        return Evaluated(tasks, [row for task in tasks for row in bench_traces(task, trained)])
    return Evaluated(tasks, list(_searched(tasks, chunk.first)))


def _searched(tasks: list[Task], first: int) -> Iterator[Trace]:
    from cim_sim.accuracy.surrogate import model as surrogate
    from finetune.targets import surrogate_traces

    for number, task in enumerate(tasks, start=first):
        rng = np.random.default_rng([*task.space.name.encode(), number])
        yield from surrogate_traces(task, surrogate.load(), rng)


def _chunks(recipe: DataRecipe) -> Iterator[Chunk]:
    wanted: list[tuple[Source, dict[str, int]]] = [
        ("bench", recipe.bench_scenarios),
        ("surrogate", recipe.surrogate_scenarios),
    ]
    for source, spaces in wanted:
        for space, count in spaces.items():
            for first in range(0, count, CHUNK):
                yield Chunk(source, space, first, min(CHUNK, count - first), recipe.bench)
