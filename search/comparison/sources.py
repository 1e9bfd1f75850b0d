"""Runs to compare, read from run directories and from whole sweeps, finished or still running."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cim_sim.config import UsageError, load
from search.record.runs import RunRecord, read_run
from search.study.scales import is_finished
from search.study.sweep import FamilyPart, SweepConfig


class Source(NamedTuple):
    """A run, and what its sweep calls its arm."""

    run: RunRecord
    label: str | None


class Gathered(NamedTuple):
    """All runs, finished or not."""

    sources: list[Source]
    missing: int
    """Runs that a sweep plans and that have recorded nothing yet."""

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
    sources, missing = list[Source](), 0
    for place in places:
        if (place / "sweep.yaml").is_file():
            own = _of_sweep(place)
            sources += own
            missing += _planned(load(place / "sweep.yaml", SweepConfig)) - len(own)
        elif (place / "manifest.json").is_file():
            sources.append(Source(read_run(place), None))
        else:
            raise UsageError(
                f"{place}: holds neither a run (manifest.json) nor a sweep (sweep.yaml); begin "
                "one: python -m search run --help"
            )
    if not sources:
        raise UsageError(f"{', '.join(map(str, places))}: no run has recorded anything yet")
    return Gathered(sources, missing)


def _of_sweep(sweep: Path) -> list[Source]:
    """Runs with at least one trial, by arm, then scenario, then seed."""
    order = list(load(sweep / "sweep.yaml", SweepConfig).arms)
    sources = []
    for file in sorted(sweep.glob("runs/*/*/seed*/manifest.json")):
        run = read_run(file.parent)
        label = file.parent.parent.name.removesuffix(f"-screen{run.config.screen}")
        sources += [Source(run, label)] if run.trials else []
    return sorted(sources, key=lambda source: (source.run.config.screen, _place(source, order)))


def _place(source: Source, order: Sequence[str]) -> int:
    return order.index(str(source.label))


def _planned(config: SweepConfig) -> int:
    part = config.scenarios
    count = part.count if isinstance(part, FamilyPart) else len(part)
    return count * len(config.arms) * len(config.screens) * config.seeds
