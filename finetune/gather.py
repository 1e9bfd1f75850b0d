"""Evaluates training scenarios side by side: what a fine-tuning learns from."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field

from cim_sim.config import Config, load
from cim_sim.paths import BENCH_TABLE
from cim_sim.space import Space
from cim_sim.types import Count, Natural
from cim_sim.workers import each
from finetune.dataset import DatasetRecipe
from finetune.traces import Source, Task, Trace, bench_traces, read_bench, write_traces


class DataRecipe(Config):
    """Which scenarios are evaluated, by what, and how conversations are drawn: data.yaml."""

    bench: Path = BENCH_TABLE
    """Parquet table of the accuracy bench: the trained networks."""
    bench_scenarios: dict[str, Natural] = Field(default_factory=dict)
    """Training scenarios of each space in configs/spaces/ at the noise levels of the bench."""
    surrogate_scenarios: dict[str, Natural] = Field(default_factory=dict)
    """Training scenarios of each space, searched under the surrogate of the bench."""
    dataset: DatasetRecipe = DatasetRecipe()
    workers: Count = 2


class Evaluated(NamedTuple):
    """A scenario with its space, and what became of designs in it."""

    task: Task
    traces: list[Trace]


def make_traces(recipe: DataRecipe, out: Path) -> list[Evaluated]:
    """Evaluate all training scenarios of a recipe, and write them and their traces to `out`."""
    jobs = list(_jobs(recipe))
    done: dict[int, Evaluated] = {}
    for number, evaluated in each(evaluate, jobs, recipe.workers):
        done[number] = evaluated
        if len(done) % 100 == 0 or len(done) == len(jobs):
            evaluations = sum(len(scenario.traces) for scenario in done.values())
            print(f"{len(done)} of {len(jobs)} scenarios, {evaluations} evaluations", flush=True)
    ordered = [done[number] for number in sorted(done)]  # as listed, not as they ended
    traces = [trace for scenario in ordered for trace in scenario.traces]
    write_traces(out, [scenario.task for scenario in ordered], traces)
    return ordered


def evaluate(source: Source, space_name: str, number: int, bench: Path) -> Evaluated:
    """Evaluate a space's training scenario of that number; runs in a process of the pool."""
    from cim_sim.accuracy.surrogate import model as surrogate
    from finetune.targets import surrogate_traces
    from search.study.family import scenarios

    space = load(Path("configs/spaces") / f"{space_name}.yaml", Space)
    [scenario] = scenarios("train", 1, space, first=number, bench_sigmas=source == "bench")
    task = Task(space=space, scenario=scenario)
    if source == "bench":
        return Evaluated(task, list(bench_traces(task, _trained(bench))))
    rng = np.random.default_rng([*space.name.encode(), number])
    return Evaluated(task, list(surrogate_traces(task, surrogate.load(), rng)))


_trained = cache(read_bench)
"""Each process reads the table once."""


def _jobs(recipe: DataRecipe) -> Iterator[tuple[Source, str, int, Path]]:
    """Yield the arguments of `evaluate` for each scenario."""
    wanted: dict[Source, dict[str, int]] = {
        "bench": recipe.bench_scenarios,
        "surrogate": recipe.surrogate_scenarios,
    }
    for source, counts in wanted.items():
        for space, count in counts.items():
            yield from ((source, space, number, recipe.bench) for number in range(count))
