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
        runs: run directories, or the directory of a sweep.
        to: the other tool.
        out: the new SQLite file.
    """
    from cim_sim.config import UsageError
    from search.record.runs import read_run
    from search.study.export import to_optuna

    files = [one.parent for run in runs for one in sorted(run.rglob("trials.jsonl"))]
    found = list({one.resolve(): one for one in files}.values())
    if not found:
        raise UsageError(f"no run in {', '.join(map(str, runs)) or 'what is named'}")
    counts = to_optuna([read_run(one) for one in found], out)
    cli.emit(out=str(out), studies=len(counts), trials=sum(counts.values()))
    return 0
