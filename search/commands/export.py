"""The verb `export`: recorded runs in the format of another tool."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from cim_sim import cli

if TYPE_CHECKING:
    from search.study.trajectories import Named


def export(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional],
    *,
    to: Literal["optuna", "dataset"],
    out: Path,
) -> int:
    """Write runs as studies of Optuna, or as one data set of trajectories with a card.

    Look at studies with `optuna-dashboard sqlite:///OUT`, and read a data set with
    `datasets.load_dataset`.

    Args:
        runs: directories of runs, or of sweeps.
        to: what is written: a SQLite file of Optuna, or a folder with Parquet and card.
        out: the file or folder; it must not exist yet.
    """
    from search.study.export import to_optuna
    from search.study.trajectories import write_trajectories

    found = _named(runs)
    if to == "optuna":
        counts = to_optuna([named.run for named in found], out)
        cli.emit(out=str(out), studies=len(counts), trials=sum(counts.values()))
        return 0
    splits = write_trajectories(found, out)
    cli.emit(out=str(out), runs=len(found), trials=splits.total(), splits=dict(splits))
    return 0


def _named(places: tuple[Path, ...]) -> "list[Named]":
    """Read every run in or below some directories once, however often it is named."""
    from cim_sim.config import UsageError
    from search.record.runs import read_run
    from search.study.trajectories import Named

    found: dict[Path, Named] = {}
    for place in places:
        for file in sorted(place.rglob("trials.jsonl")):
            named = Named(place.resolve().name, read_run(file.parent))
            found.setdefault(file.parent.resolve(), named)
    if not found:
        raise UsageError(f"no run in {', '.join(map(str, places)) or 'what is named'}")
    return list(found.values())
