"""Evaluates training tasks side by side, and takes what past searches evaluated."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple, Self

import numpy as np

from cim_sim.accuracy.surrogate.model import table_digest
from cim_sim.config import Config, UsageError
from cim_sim.paths import BENCH_TABLE, readable
from cim_sim.progress import counted
from cim_sim.types import Count, Natural
from cim_sim.workers import each
from finetune.dataset import DatasetRecipe
from finetune.tables import OtherTable, table_traces
from finetune.traces import (
    SCENARIOS,
    Source,
    Trace,
    bench_traces,
    find_runs,
    joined,
    read_bench,
    run_traces,
    write_traces,
)
from search.record.runs import RunRecord


class DataRecipe(Config):
    """Which tasks are evaluated, by what, and how conversations are drawn: dialogues.yaml."""

    bench: Path = BENCH_TABLE
    """Parquet table of the accuracy bench: the trained networks."""
    bench_tasks: Natural = 0
    """Training tasks in the space `embedded` at the noise levels of the bench."""
    surrogate_tasks: Natural = 0
    """Training tasks of all spaces, searched under the surrogate of the bench."""
    first: Natural = 0
    """Number of the first of those tasks."""
    runs: tuple[Path, ...] = ()
    """Directories of searches and sweeps, whose evaluations are taken as they are."""
    tables: tuple[OtherTable, ...] = ()
    """Evaluations that other programs recorded."""
    dataset: DatasetRecipe = DatasetRecipe()
    workers: Count = 2

    def with_runs(self, places: Sequence[Path]) -> Self:
        """Return the recipe with searches and sweeps beside those that it names."""
        return self.model_copy(update={"runs": (*self.runs, *places)})

    @property
    def runs_alone(self) -> bool:
        """Whether nothing but searches and sweeps is named."""
        return not (self.bench_tasks or self.surrogate_tasks or self.tables)


class Part(NamedTuple):
    """Consecutive tasks that one process evaluates and writes to a folder of their own."""

    source: Source
    first: int
    tasks: int
    bench: Path
    folder: Path


class Gathered(NamedTuple):
    """What a folder of traces holds."""

    tasks: int
    evaluations: int
    feasible: int


PART = 50
"""Tasks of a part: what is lost, at most, for each process that is killed."""


def make_traces(recipe: DataRecipe, out: Path) -> Gathered:
    """Evaluate all training tasks of a recipe, and write them and their traces to `out`.

    Parts that an earlier call has finished stand in `out`/parts and are not evaluated again.

    Raises:
        UsageError: the recipe names nothing to evaluate, or directories that hold no run.
    """
    runs = require_sources(recipe)
    parts, missing = parts_of(recipe, out)
    with counted("parts", len(parts), len(parts) - len(missing)) as step:
        for number, _ in each(evaluate, missing, recipe.workers):
            step(missing[number].folder.name)
    folders = [part.folder for part in parts]
    if recipe.runs:
        folders.append(out / "parts" / "runs")
        _write_runs(runs, folders[-1])
    if recipe.tables:
        folders.append(out / "parts" / "tables")
        _write_tables(recipe.tables, folders[-1])
    gathered = Gathered(*joined(folders, out))
    # A kill while they are removed must not leave half of them where they would be read again.
    rmtree(done := out / "parts-done", ignore_errors=True)
    (out / "parts").rename(done)
    rmtree(done)
    if not gathered.evaluations:
        raise UsageError(f"{out}: no evaluation is recorded in what the recipe names")
    return gathered


def require_sources(recipe: DataRecipe) -> list[RunRecord]:
    """Return the runs of a recipe, before anything is evaluated; its tables are read too.

    Raises:
        UsageError: it names nothing to evaluate, a directory that holds no run, or a table that
            cannot be read.
    """
    if not (recipe.bench_tasks or recipe.surrogate_tasks or recipe.runs or recipe.tables):
        raise UsageError("no traces: give bench_tasks, surrogate_tasks, runs or tables")
    for table in recipe.tables:
        for _ in table_traces(table):
            pass
    return find_runs(recipe.runs) if recipe.runs else []


def parts_of(recipe: DataRecipe, out: Path) -> tuple[list[Part], list[Part]]:
    """Return all parts of the work, and those that no earlier call has finished."""
    parts = list(_parts(recipe, out / "parts"))
    return parts, [part for part in parts if not (part.folder / SCENARIOS).is_file()]


def evaluate(source: Source, first: int, count: int, bench: Path, folder: Path) -> None:
    """Evaluate the training tasks of a part and write them; runs in a process of the pool."""
    from cim_sim.accuracy.surrogate import model as surrogate
    from finetune.targets import surrogate_traces
    from search.study.family import tasks

    drawn = tasks("train", count, first=first, bench_sigmas=source == "bench")
    traces: list[Trace] = []
    for number, task in enumerate(drawn, start=first):
        if source == "bench":
            traces += bench_traces(task, _trained(bench))
        else:
            rng = np.random.default_rng(number)
            traces += surrogate_traces(task, surrogate.load(), rng)
    write_traces(folder, drawn, traces)


_trained = cache(read_bench)
"""Each process reads the table once."""


def _write_runs(runs: Sequence[RunRecord], folder: Path) -> None:
    tasks = [run.config.task for run in runs]
    traces = [trace for run in runs for trace in run_traces(run)]
    write_traces(folder, list(dict.fromkeys(tasks)), traces)


def _write_tables(tables: Sequence[OtherTable], folder: Path) -> None:
    found = [named for table in tables for named in table_traces(table)]
    traces = [trace for _, own in found for trace in own]
    write_traces(folder, list(dict.fromkeys(task for task, _ in found)), traces)


def _parts(recipe: DataRecipe, folder: Path) -> Iterator[Part]:
    """Yield the parts in order; their names hold table and tasks, which decide the traces."""
    wanted: dict[Source, int] = {"bench": recipe.bench_tasks, "surrogate": recipe.surrogate_tasks}
    bench = readable(recipe.bench)
    table = table_digest(bench.read_bytes()) if bench.is_file() else "none"
    for source, tasks in wanted.items():
        last = recipe.first + tasks
        for first in range(recipe.first, last, PART):
            count = min(PART, last - first)
            own = folder / f"{table}-{source}-{first:06d}-{count}"
            yield Part(source, first, count, recipe.bench, own)
