"""Many searches as one: scenarios x arms x screening x seeds, resumable as a whole.

Every search is an ordinary run directory under `runs/`, so that whatever reads one run reads
these. A sweep that was interrupted or killed goes on where it stopped: finished runs are left
alone, begun ones are resumed by replay.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Discriminator, Field, Tag, model_validator

from cim_sim.config import Config, UsageError, dump, load
from cim_sim.files import require_no_file, write_whole
from cim_sim.own import OwnSpace
from cim_sim.space import Space
from cim_sim.types import Count, Name
from cim_sim.workers import Executor, each
from search import evaluators
from search.execute import execute, resolved
from search.llm.connection import weights_of
from search.optimizers import model_of
from search.proposal import SearchStopped
from search.record.judge import EvaluatorField, Judge
from search.record.manifest import (
    Batch,
    RunConfig,
    ScenarioOrFile,
    Screen,
    SpaceOrFile,
    differences,
)
from search.record.runs import read_run
from search.record.tasks import AnyTask, Task, task_of
from search.study.cut import Split
from search.study.family import tasks
from search.study.scales import is_finished

CONFIG = "sweep.yaml"
"""In the sweep's directory: what it was begun with."""
MOST_RUNS = 100_000
"""Of one sweep; its plan is held in memory."""


class Tuned(Config):
    """Settings found by `search tune-baselines`; `search run --config` reads the same file."""

    optimizer: str
    settings: dict[str, Any]


def settings_of_file(path: str, optimizer: str | None) -> dict[str, Any]:
    """Return the settings in a file like configs/search/tpe.yaml.

    Raises:
        UsageError: there is none, or it is for another optimiser.
    """
    tuned = load(path, Tuned)
    if tuned.optimizer != optimizer:
        raise UsageError(f"{path} is for optimizer {tuned.optimizer}, not {optimizer}")
    return tuned.settings


class ArmSpec(Config):
    """One optimiser of a sweep, its budget and its settings."""

    optimizer: str
    episodes: Count
    settings: dict[str, Any] = Field(default_factory=dict)
    """In full, or the path of a YAML file that holds them, as in configs/search/."""

    @model_validator(mode="before")
    @classmethod
    def _settings_file(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("settings"), str):
            return data
        try:
            settings = settings_of_file(data["settings"], data.get("optimizer"))
        except UsageError as error:
            raise ValueError(str(error)) from None  # which then says whose settings they are
        return {**data, "settings": settings}


class FamilyPart(Config):
    """Tasks of the family."""

    split: Split
    count: Count
    first: Annotated[int, Field(ge=0)] = 0
    objective: Literal["energy", "latency"] | None = None
    """Leave the others out; the tasks keep their numbers, and `count` of them are taken."""


class SweepConfig(Judge):
    """Which searches; all of them share evaluator and batch."""

    space: SpaceOrFile | None = None
    """Of listed scenarios; tasks of the family have their own, or this one where it is given."""
    scenarios: Annotated[
        Annotated[FamilyPart, Tag("(family)")]
        | Annotated[tuple[ScenarioOrFile, ...], Field(min_length=1), Tag("(list)")],
        Discriminator(lambda value: "(list)" if isinstance(value, (list, tuple)) else "(family)"),
    ]
    arms: dict[Name, ArmSpec] = Field(min_length=1)
    seeds: Count = 3
    """Seeds 0 to this number less one, the same for all arms."""
    evaluator: EvaluatorField = "surrogate"
    batch: Batch = 1
    screens: Annotated[tuple[Screen, ...], Field(min_length=1)] = (0,)
    """Values of `screen`; every arm runs with each of them."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.space is None and not isinstance(self.scenarios, FamilyPart):
            raise ValueError("space is missing: listed scenarios need one")
        if self.planned > MOST_RUNS:
            raise ValueError(
                f"scenarios x arms x screens x seeds are {self.planned:,} runs, at most "
                f"{MOST_RUNS:,} make a sweep"
            )
        return self

    @property
    def planned(self) -> int:
        """Number of runs."""
        part = self.scenarios
        count = part.count if isinstance(part, FamilyPart) else len(part)
        return count * len(self.arms) * len(self.screens) * self.seeds

    @cached_property
    def tasks(self) -> Sequence[AnyTask]:
        """The scenarios with their spaces."""
        part = self.scenarios
        if isinstance(part, FamilyPart):
            if isinstance(self.space, OwnSpace):
                raise UsageError(f"space {self.space.name} is your own; the family has none of it")
            return _of_family(part, self.space)
        assert self.space is not None
        return [task_of(self.space, scenario) for scenario in part]


def _of_family(part: FamilyPart, space: Space | None) -> list[Task]:
    if part.objective is None:
        return tasks(part.split, part.count, first=part.first, space=space)
    if part.split == "objective":
        raise UsageError(
            f"scenarios: split objective has energy-delay alone; leave objective: {part.objective} "
            "out, or name another split"
        )
    numbers = itertools.count(part.first)
    drawn = (tasks(part.split, 1, first=number, space=space)[0] for number in numbers)
    chosen = (task for task in drawn if task.scenario.metric == part.objective)
    return list(itertools.islice(chosen, part.count))


def of_split(config: SweepConfig, split: Split) -> SweepConfig:
    """Return the same sweep over another split of the family.

    Raises:
        UsageError: it lists scenarios.
    """
    if not isinstance(config.scenarios, FamilyPart):
        raise UsageError("--split is for sweeps over the family; this one lists its scenarios")
    part = config.scenarios.model_copy(update={"split": split})
    return config.model_copy(update={"scenarios": part})


class Job(NamedTuple):
    """One run of a sweep."""

    arm: str
    config: RunConfig
    out: Path


class Failed(NamedTuple):
    """A run that did not come to its end."""

    out: Path
    reason: str


def jobs(config: SweepConfig, out: Path) -> list[Job]:
    """Return all runs, the seeds innermost: a server still holds what the seed before asked it.

    Raises:
        UsageError: an optimiser or one of its settings is not known, or a scenario and the space
            do not fit, or two runs would be the same.
    """
    for task in config.tasks:
        config.require_judges(task)
        if isinstance(task, Task):
            task.scenario.require_fits(task.space)
    _require_arms(config)
    runs = []
    for task in config.tasks:
        for screen in config.screens:
            for name, arm in config.arms.items():
                folder = f"{name}-screen{screen}" if screen else name
                for seed in range(config.seeds):
                    place = out / "runs" / task.name / folder / f"seed{seed}"
                    run = resolved(_run_config(config, task, arm, screen, seed))
                    runs.append(Job(name, run, place))
    twice = [str(place) for place, count in Counter(job.out for job in runs).items() if count > 1]
    if twice:
        raise UsageError(f"two runs of the sweep would share a directory: {twice[0]}")
    return runs


def _require_arms(config: SweepConfig) -> None:
    """Raise one UsageError with the faults of every arm."""
    faults = []
    for name, arm in config.arms.items():
        try:
            resolved(_run_config(config, config.tasks[0], arm, screen=0, seed=0))
        except UsageError as error:
            faults.append(f"arms.{name}: {error}")
    if faults:
        raise UsageError("\n".join(faults))


def begin(config: SweepConfig, out: Path, resume: bool) -> None:
    """Write the configuration into a new directory, or check that the one there is the same.

    Raises:
        UsageError: the directory holds something else, or was begun with another configuration.
    """
    require_beginnable(config, out, resume)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / CONFIG, dump(config))


def require_beginnable(config: SweepConfig, out: Path, resume: bool) -> None:
    """Raise the UsageError with which `begin` would refuse; changes nothing."""
    require_no_file(out)
    file = out / CONFIG
    if file.exists() and resume:
        old = load(file, SweepConfig).model_dump(mode="json")
        changes = differences(old, config.model_dump(mode="json"))
        if changes:
            raise UsageError(f"{out}: the sweep there was begun with\n  " + "\n  ".join(changes))
    elif out.exists() and any(out.iterdir()):
        raise UsageError(f"{out}: is not empty; add --resume to go on with the sweep there")


def unfinished(runs: Sequence[Job]) -> list[Job]:
    """Return the runs that are still to be done, in part or as a whole."""
    read: dict[str, dict[str, str | None]] = {}

    def weights(job: Job) -> dict[str, str | None]:
        """Read each model once, however many runs ask it."""
        if (model := model_of(job.config)) is None:
            return {}
        name = model.model_dump_json()
        if name not in read:
            read[name] = weights_of(model)
        return read[name]

    return [job for job in runs if not _is_done(job.out, weights(job))]


def _is_done(folder: Path, weights: Mapping[str, str | None]) -> bool:
    """Whether a run is finished, by the model that lies in its place today."""
    try:
        run = read_run(folder)
    except UsageError:  # not begun, or damaged: doing the run says what is wrong
        return False
    # What was given up after too many failures in a row has ended too: that is its result.
    ended = run.manifest.status != "running" and is_finished(run)
    return ended and weights.items() <= (run.manifest.model or {}).items()


def run_all(
    runs: Sequence[Job], workers: int, cache: Path, executor: Executor = "processes"
) -> Iterator[tuple[Job, Failed | None]]:
    """Do the runs in a pool of processes or on a cluster; yields each as it ends, in no order.

    Machines of a cluster must share the file system of the sweep's directory and of the cache.

    Raises:
        KeyboardInterrupt: the workers have been stopped; what they recorded stays.
        BrokenProcessPool: a worker was killed; likewise.
    """
    orders = [(job.config, job.out.resolve(), cache.resolve()) for job in runs]
    for index, reason in each(_run, orders, workers, executor):
        yield runs[index], Failed(runs[index].out, reason) if reason else None


def _run(config: RunConfig, out: Path, cache: Path) -> str | None:
    """Do one run, or the rest of it; returns why it failed."""
    try:
        judge = evaluators.build(config.scenario, config.space, config, cache)
        execute(config, judge, out, resume=True)
    except SearchStopped as stop:
        # What was given up after too many failures in a row has ended: that is its result.
        return None if is_finished(read_run(out)) else str(stop)
    except (UsageError, OSError) as error:
        return str(error)
    return None


def _run_config(
    config: SweepConfig, task: AnyTask, arm: ArmSpec, screen: int, seed: int
) -> RunConfig:
    return RunConfig(
        optimizer=arm.optimizer,
        settings=arm.settings,
        episodes=arm.episodes,
        scenario=task.scenario,
        space=task.space,
        told=task.told,
        evaluator=config.evaluator,
        accuracy_seed=config.accuracy_seed,
        seed=seed,
        batch=config.batch,
        screen=screen,
    )
