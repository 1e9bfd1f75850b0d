"""The verbs `traces` and `dataset`: what a fine-tuning learns from."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from cim_sim import cli
from cim_sim.config import Config, load
from cim_sim.space import Space
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

Count = Annotated[int, Field(ge=0)]
CHUNK = 10
"""Scenarios of one task of the process pool."""


class DataRecipe(Config):
    """Which scenarios are evaluated, by what, and how conversations are drawn: data.yaml."""

    bench: Path = BENCH
    """Accuracy bench: the trained networks."""
    bench_scenarios: dict[str, Count] = Field(default_factory=dict)
    """Training scenarios of each space in configs/spaces/ at the noise levels of the bench."""
    surrogate_scenarios: dict[str, Count] = Field(default_factory=dict)
    """Training scenarios of each space, searched under the surrogate of the bench."""
    dataset: DatasetRecipe = DatasetRecipe()
    workers: Annotated[int, Field(ge=1)] = 2


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
    problems: list[Problem] = []
    found: list[Trace] = []
    with ProcessPoolExecutor(recipe.workers, mp_context=get_context("spawn")) as pool:
        for number, (some, traced) in enumerate(pool.map(evaluate_task, tasks), start=1):
            problems += some
            found += traced
            if number % 10 == 0 or number == len(tasks):
                report(f"{len(problems)} of {total} scenarios, {len(found)} evaluations")
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
