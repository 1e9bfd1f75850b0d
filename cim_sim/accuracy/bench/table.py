"""The benchmark table: trains a list of jobs, one durable line each, and reads lines as a table."""

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cim_sim.accuracy.bench.columns import NETWORK, named
from cim_sim.accuracy.bench.jobs import Job
from cim_sim.accuracy.query import Accuracy, Images, Query
from cim_sim.accuracy.trained import measure_groups
from cim_sim.config import Config
from cim_sim.files import Journal, locked, read_table, write_table
from cim_sim.files import read as read_journal
from cim_sim.paths import readable
from cim_sim.progress import counted
from cim_sim.space import ConvChoice
from cim_sim.workers import Executor

if TYPE_CHECKING:
    import pandas as pd

LINES = "trainings.jsonl"
MEND = "restore it, or delete the line to train it anew"


class Tested(Config):
    """A trained network's accuracy under one variation and ADC, rounded to six decimals."""

    images: Images
    sigma: float
    adc_levels: int | None
    adc_rows: int | None
    mean: float
    std: float
    quantile_10: float
    draws: int
    clean: float | None


class Training(Config):
    """One line: a finished training, why it is in the table, and the tests of its network."""

    key: str
    origin: str
    layers: tuple[ConvChoice, ...]
    dataset: str
    epochs: int
    clip_rms: float | None
    training_sigma: float
    seed: int
    finished: int
    """Unix time in seconds."""
    tests: tuple[Tested, ...]


def run(
    jobs: Sequence[Job],
    folder: Path,
    workers: int,
    executor: Executor = "processes",
) -> int:
    """Train every job whose line is not yet in `folder` and return how many were trained.

    A line is written and synced once its training and all its tests are done; what `kill -9`
    interrupts is trained again, what is written never is.

    Raises:
        UsageError: another process is at work in the folder, or a line there is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder), closing(Journal(folder / LINES, Training, MEND)) as journal:
        finished = {training.key for training in journal.records}
        todo = [job for job in jobs if job.key not in finished]
        groups = [job.queries for job in todo]
        done = len(jobs) - len(todo)
        with counted("trainings", len(jobs), done) as step:
            for index, answers in measure_groups(groups, None, workers, executor):
                journal.append(_training(todo[index], answers))
                step(todo[index].key[:12])
    return len(todo)


def read(path: Path) -> list[Training]:
    """Return the finished trainings; a torn last line does not count.

    Raises:
        UsageError: another line is damaged.
    """
    return read_journal(path, Training, MEND).records


def table(trainings: Iterable[Training]) -> "pd.DataFrame":
    """One row for each test; columns as `datasets/accuracy-bench/README.md` explains them."""
    import pandas as pd

    rows = pd.DataFrame([row for training in trainings for row in _rows(training)])
    small = [*NETWORK, "epochs", "seed", "draws"]
    optional = {"adc_levels": "Int16", "adc_rows": "Int16", "clip_rms": "Float64"}
    return rows.astype(optional | dict.fromkeys(small, "int16"))


def published(parquet: Path) -> set[str]:
    """Return the keys of the trainings that a Parquet table holds; none when it is not there."""
    if not readable(parquet).exists():
        return set()
    return set(read_table(parquet, ["training_key"])["training_key"])


def publish(path: Path, parquet: Path) -> int:
    """Join finished trainings to a Parquet table (made if missing); return its trainings.

    Rows that the table already has stay, so that lines of several machines can be joined.
    """
    import pandas as pd

    held = published(parquet)
    by_key = {training.key: training for training in read(path)}
    trainings = [training for key, training in by_key.items() if key not in held]
    if not trainings:
        return len(held)
    fresh = table(trainings)
    if held:
        fresh = pd.concat([read_table(parquet), fresh], ignore_index=True)
    parquet.parent.mkdir(parents=True, exist_ok=True)
    write_table(parquet, fresh)
    return int(fresh["training_key"].nunique())


def _training(job: Job, answers: Sequence[Accuracy]) -> Training:
    shared = job.queries[0]
    return Training(
        key=job.key,
        origin=job.origin,
        layers=shared.layers,
        dataset=shared.dataset,
        epochs=shared.recipe.epochs,
        clip_rms=shared.recipe.clip_rms,
        training_sigma=shared.training_sigma,
        seed=shared.seed,
        finished=round(time.time()),
        tests=tuple(_tested(q, a) for q, a in zip(job.queries, answers, strict=True)),
    )


def _tested(query: Query, answer: Accuracy) -> Tested:
    return Tested(
        images=query.images,
        sigma=query.sigma,
        adc_levels=query.adc.levels if query.adc else None,
        adc_rows=query.adc.rows if query.adc else None,
        mean=round(answer.mean, 6),
        std=round(answer.std, 6),
        quantile_10=round(answer.quantile_10, 6),
        draws=answer.draws,
        clean=answer.clean,
    )


def _rows(training: Training) -> Iterable[dict[str, Any]]:
    shared: dict[str, Any] = {"training_key": training.key, "origin": training.origin}
    shared |= named(training.layers)
    settings = {"dataset", "epochs", "clip_rms", "training_sigma", "seed"}
    shared |= training.model_dump(include=settings)
    return ({**shared, **tested.model_dump()} for tested in training.tests)
