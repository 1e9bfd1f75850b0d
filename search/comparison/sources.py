"""Runs to compare, read from run directories and from whole sweeps, finished or still running."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cim_sim.config import UsageError, load
from search.optimizers import settings_of
from search.record.runs import RunRecord, read_run
from search.study.scales import is_finished
from search.study.sweep import SweepConfig


class Source(NamedTuple):
    """A run, and what its sweep calls its arm."""

    run: RunRecord
    label: str | None


class Gathered(NamedTuple):
    """All runs, finished or not."""

    sources: list[Source]
    missing: int
    """Runs that a sweep plans and that have recorded nothing yet."""
    absent: Sequence[str] = ()
    """Arms that a sweep plans and that have no run."""

    @property
    def unfinished(self) -> list[RunRecord]:
        """Runs that have begun."""
        return [source.run for source in self.sources if not is_finished(source.run)]

    @property
    def complete(self) -> bool:
        """Whether every run that there will be is finished."""
        return not self.missing and not self.unfinished


def gather(places: Sequence[Path]) -> Gathered:
    """Read run directories and sweeps.

    Raises:
        UsageError: a place holds neither, or a file is damaged.
    """
    if not places:
        raise UsageError("compare: name runs or sweeps, as in runs/a runs/b --out runs/c")
    sources, missing, absent = list[Source](), 0, list[str]()
    for place in places:
        if (place / "sweep.yaml").is_file():
            config = load(place / "sweep.yaml", SweepConfig)
            own = _of_sweep(place, list(config.arms))
            sources += own
            missing += config.planned - len(own)
            absent += [arm for arm in config.arms if arm not in {one.label for one in own}]
        elif (place / "manifest.json").is_file():
            sources.append(Source(_run(place), None))
        else:
            raise UsageError(
                f"{place}: holds neither a run (manifest.json) nor a sweep (sweep.yaml); begin "
                "one: python -m search run --help"
            )
    if not sources:
        raise UsageError(f"{', '.join(map(str, places))}: no run has recorded anything yet")
    return Gathered(sources, missing, absent)


def _run(folder: Path) -> RunRecord:
    """Read a run whose optimiser and settings are of today."""
    run = read_run(folder)
    try:
        settings_of(run.config.optimizer, run.config.settings)
    except UsageError as error:
        raise UsageError(f"{folder / 'config.yaml'}: {error}") from None
    return run


def _of_sweep(sweep: Path, arms: Sequence[str]) -> list[Source]:
    """Runs with at least one trial, by arm, then scenario, then seed.

    Raises:
        UsageError: a run belongs to no arm of the sweep.
    """
    sources = []
    for file in sorted(sweep.glob("runs/*/*/seed*/manifest.json")):
        run = _run(file.parent)
        label = file.parent.parent.name.removesuffix(f"-screen{run.config.screen}")
        if label not in arms:
            raise UsageError(
                f"{file.parent}: {label} is no arm of {sweep / 'sweep.yaml'}, which names "
                f"{', '.join(arms)}; move the folder out of the sweep, or name the arm there"
            )
        sources += [Source(run, label)] if run.trials else []
    return sorted(sources, key=lambda one: (one.run.config.screen, arms.index(str(one.label))))
