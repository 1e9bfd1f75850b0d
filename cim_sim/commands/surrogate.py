"""The verb `surrogate`: check the accuracy surrogate, or fit it."""

from pathlib import Path
from typing import Annotated

import tyro

from cim_sim import cli
from cim_sim.config import UsageError
from cim_sim.paths import BENCH_TABLE


def surrogate(
    *,
    check: bool = False,
    fit: bool = False,
    fresh: Annotated[cli.Natural, tyro.conf.arg(metavar="N")] = 0,
    table: Path = BENCH_TABLE,
    workers: cli.Count = 2,
    dry_run: bool = False,
) -> int:
    """Check the accuracy surrogate against trained networks, or fit it anew.

    Args:
        check: say how good it is on committed rows that its fit never saw.
        fit: fit it to the whole table and write it beside the code.
        fresh: train this many new random designs and check on those.
        table: benchmark table, Parquet.
        workers: number of processes that train.
        dry_run: show what would be trained and written, and stop.
    """
    from cim_sim.accuracy.surrogate import check as surrogate_check
    from cim_sim.accuracy.surrogate import fit as surrogate_fit
    from cim_sim.accuracy.surrogate.model import FITTED

    if not (check or fit or fresh):
        raise UsageError("surrogate: nothing to do; give --check, --fit or --fresh N")
    if fit and table != BENCH_TABLE:
        raise UsageError(
            f"surrogate --fit: replaces the fit that comes with the package, which every search "
            f"reads with {BENCH_TABLE}; put your rows there instead of {table}"
        )
    if dry_run:
        return cli.planned(trainings=fresh, writes=str(FITTED) if fit else "nothing")
    figures: dict[str, object] = {}
    if fit:
        print(f"wrote {surrogate_fit.refit(table)}")
    if fresh:
        figures |= surrogate_check.fresh(fresh, workers, table)
    if check:
        figures |= surrogate_check.report(table)
    cli.emit(**figures)
    return 0
