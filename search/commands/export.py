"""The verb `export`: recorded runs in the format of another tool."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from cim_sim import cli


def export(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional],
    *,
    to: Literal["optuna"],
    out: Path,
) -> int:
    """Write runs as studies of Optuna; look at them with `optuna-dashboard sqlite:///OUT`.

    Args:
        runs: directories of runs, or of a sweep.
        to: name of the other tool.
        out: SQLite file to write; it must not exist yet.
    """
    from cim_sim.config import UsageError
    from search.record.runs import read_run
    from search.study.export import to_optuna

    folders = [file.parent for run in runs for file in sorted(run.rglob("trials.jsonl"))]
    different = list({folder.resolve(): folder for folder in folders}.values())
    if not different:
        raise UsageError(f"no run in {', '.join(map(str, runs)) or 'what is named'}")
    counts = to_optuna([read_run(folder) for folder in different], out)
    cli.emit(out=str(out), studies=len(counts), trials=sum(counts.values()))
    return 0
