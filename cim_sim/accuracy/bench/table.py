"""The benchmark table: trains a list of jobs, one durable line each, and reads lines as a table."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cim_sim import parquet as tables
from cim_sim.accuracy.bench.jobs import Job
from cim_sim.accuracy.query import Accuracy, Query
from cim_sim.accuracy.trained import measure_groups
from cim_sim.config import UsageError
from cim_sim.workers import Executor

if TYPE_CHECKING:
    import pandas as pd

LINES = "trainings.jsonl"


def run(
    jobs: Sequence[Job],
    folder: Path,
    workers: int,
    report: Callable[[int, int], None] = lambda done, total: None,
    executor: Executor = "processes",
) -> int:
    """Train every job whose line is not yet in `folder` and return how many were trained.

    A line is written and synced once its training and all its tests are done; what `kill -9`
    interrupts is trained again, what is written never is.

    Raises:
        UsageError: another process is at work in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LINES
    with _only_runner(folder):
        return _run(jobs, path, workers, report, executor)


def _run(
    jobs: Sequence[Job],
    path: Path,
    workers: int,
    report: Callable[[int, int], None],
    executor: Executor,
) -> int:
    _drop_torn_line(path)
    finished = {line["key"] for line in read(path)}
    todo = [job for job in jobs if job.key not in finished]
    done = len(jobs) - len(todo)
    report(done, len(jobs))
    with path.open("a", encoding="utf-8") as file:
        for index, answers in measure_groups(
            [job.queries for job in todo], None, workers, executor
        ):
            file.write(json.dumps(_line(todo[index], answers)) + "\n")
            file.flush()
            os.fsync(file.fileno())
            done += 1
            report(done, len(jobs))
    return len(todo)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the finished trainings; a torn last line does not count.

    Raises:
        UsageError: another line is damaged.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    return [_parsed(line, f"{path}:{n}") for n, line in enumerate(whole.splitlines(), start=1)]


def _parsed(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{where}: not JSON ({error}); delete the line to train it anew") from None
    if not isinstance(found, dict):
        raise UsageError(f"{where}: not a training; delete the line to train it anew")
    return found


def table(lines: Iterable[dict[str, Any]]) -> "pd.DataFrame":
    """One row for each test; columns as `datasets/accuracy-bench/README.md` explains them."""
    import pandas as pd

    rows = pd.DataFrame([row for line in lines for row in _rows(line)])
    small = [f"{what}_{n}" for n in range(1, 7) for what in ("channels", "kernel")]
    small += ["epochs", "seed", "draws"]
    return rows.astype({"adc_levels": "Int16", "adc_rows": "Int16"} | dict.fromkeys(small, "int16"))


def published(parquet: Path) -> set[str]:
    """Return the keys of the trainings that a Parquet table holds; none when it is not there."""
    if not parquet.exists():
        return set()
    return set(tables.read(parquet, ["training_key"])["training_key"])


def publish(path: Path, parquet: Path) -> int:
    """Join finished trainings to a Parquet table (made if missing); return its trainings.

    Rows that the table already has stay, so that lines of several machines can be joined.
    """
    import pandas as pd

    held = published(parquet)
    by_key = {line["key"]: line for line in read(path)}
    lines = [line for key, line in by_key.items() if key not in held]
    if not lines:
        return len(held)
    fresh = table(lines)
    if held:
        fresh = pd.concat([tables.read(parquet), fresh], ignore_index=True)
    parquet.parent.mkdir(parents=True, exist_ok=True)
    tables.write(fresh, parquet)
    return int(fresh["training_key"].nunique())


def _line(job: Job, answers: Sequence[Accuracy]) -> dict[str, Any]:
    shared = job.queries[0]
    return {
        "key": job.key,
        "origin": job.origin,
        "layers": [list(layer) for layer in shared.layers],
        "dataset": shared.dataset,
        "epochs": shared.recipe.epochs,
        "training_sigma": shared.training_sigma,
        "seed": shared.seed,
        "finished": round(time.time()),
        "tests": [_test(q, a) for q, a in zip(job.queries, answers, strict=True)],
    }


def _test(query: Query, answer: Accuracy) -> dict[str, Any]:
    return {
        "sigma": query.sigma,
        "adc_levels": query.adc.levels if query.adc else None,
        "adc_rows": query.adc.rows if query.adc else None,
        "mean": round(answer.mean, 6),
        "std": round(answer.std, 6),
        "quantile_10": round(answer.quantile_10, 6),
        "draws": answer.draws,
        "clean": answer.clean,
    }


def _rows(line: dict[str, Any]) -> Iterable[dict[str, Any]]:
    shared: dict[str, Any] = {"training_key": line["key"], "origin": line["origin"]}
    for number, (channels, kernel) in enumerate(line["layers"], start=1):
        shared |= {f"channels_{number}": channels, f"kernel_{number}": kernel}
    shared |= {name: line[name] for name in ("dataset", "epochs", "training_sigma", "seed")}
    return ({**shared, **test} for test in line["tests"])


@contextmanager
def _only_runner(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{folder}: another process is training there") from None
        yield


def _drop_torn_line(path: Path) -> None:
    """Cut what a killed run left of its last line, so that the next line starts on its own."""
    if path.exists():
        content = path.read_bytes()
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
