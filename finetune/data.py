"""The verbs `traces` and `dataset`: what a fine-tuning learns from."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field

from cim_sim import cli
from cim_sim.config import Config, load
from cim_sim.space import Space
from cim_sim.types import Count, Natural
from cim_sim.workers import Done, each
from finetune.dataset import DatasetManifest, DatasetRecipe, build, write
from finetune.traces import (
    BENCH,
    Problem,
    Source,
    Trace,
    bench_traces,
    read_bench,
    read_traces,
    write_traces,
)

CHUNK = 10
"""Scenarios of one task of the process pool."""


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


class Task(NamedTuple):
    """A few scenarios of one space, evaluated by one source."""

    source: Source
    space: str
    first: int
    number: int
    bench: Path


def traces(
    out: Path = Path("runs/finetune/data"), config: Path = Path("configs/finetune/data.yaml")
) -> int:
    """Re-cost the trained networks of the accuracy bench under many training scenarios.

    Args:
        out: directory for traces.parquet and scenarios.jsonl.
        config: which scenarios and sources.
    """
    problems, found = make_traces(load(config, DataRecipe), out)
    feasible = sum(trace.evaluation.reward is not None for trace in found)
    cli.emit(traces=str(out), scenarios=len(problems), evaluations=len(found), feasible=feasible)
    return 0


def dataset(
    data: Path = Path("runs/finetune/data"), config: Path = Path("configs/finetune/data.yaml")
) -> int:
    """Turn traces into conversations, split by scenario, with a card.

    Args:
        data: directory with the traces; the conversations go there too.
        config: how conversations are drawn.
    """
    manifest = make_dataset(load(config, DataRecipe), data)
    cli.emit(dataset=str(data), digest=manifest.digest, **manifest.counts, sources=manifest.sources)
    return 0


def make_traces(
    recipe: DataRecipe, out: Path, report: Callable[[str], None] = print
) -> tuple[list[Problem], list[Trace]]:
    """Evaluate, write, and return problems and traces."""
    tasks = list(_tasks(recipe))
    total = sum(task.number for task in tasks)
    parts: list[Done[tuple[list[Problem], list[Trace]]]] = []
    for part in each(evaluate_task, [(task,) for task in tasks], recipe.workers):
        parts.append(part)
        if len(parts) % 10 == 0 or len(parts) == len(tasks):
            scenarios = sum(len(done.result[0]) for done in parts)
            evaluations = sum(len(done.result[1]) for done in parts)
            report(f"{scenarios} of {total} scenarios, {evaluations} evaluations")
    parts.sort(key=lambda done: done.number)  # as listed, not as they ended
    problems = [problem for done in parts for problem in done.result[0]]
    found = [trace for done in parts for trace in done.result[1]]
    write_traces(out, problems, found)
    return problems, found


def evaluate_task(task: Task) -> tuple[list[Problem], list[Trace]]:
    """Evaluate the scenarios of one task; runs in a process of the pool."""
    from search.study.family import scenarios

    space = load(Path("configs/spaces") / f"{task.space}.yaml", Space)
    bench = task.source == "bench"
    problems = [
        Problem(space=space, scenario=scenario)
        for scenario in scenarios("train", task.number, space, first=task.first, bench_sigmas=bench)
    ]
    if bench:
        trained = read_bench(task.bench)
        return problems, [t for problem in problems for t in bench_traces(problem, trained)]
    return problems, list(_searched(problems, task.first))


def _searched(problems: list[Problem], first: int) -> Iterator[Trace]:
    from cim_sim.accuracy.surrogate import model as surrogate
    from finetune.targets import surrogate_traces

    for number, problem in enumerate(problems, start=first):
        rng = np.random.default_rng([*problem.space.name.encode(), number])
        yield from surrogate_traces(problem, surrogate.load(), rng)


def _tasks(recipe: DataRecipe) -> Iterator[Task]:
    wanted: list[tuple[Source, dict[str, int]]] = [
        ("bench", recipe.bench_scenarios),
        ("surrogate", recipe.surrogate_scenarios),
    ]
    for source, spaces in wanted:
        for space, count in spaces.items():
            for first in range(0, count, CHUNK):
                yield Task(source, space, first, min(CHUNK, count - first), recipe.bench)


def make_dataset(recipe: DataRecipe, data: Path) -> DatasetManifest:
    """Draw conversations from the traces in `data` and write them there."""
    problems, found = read_traces(data)
    return write(data, build(problems, found, recipe.dataset), recipe.dataset)
