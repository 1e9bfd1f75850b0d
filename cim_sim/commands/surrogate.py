"""The verb `surrogate`: check, fit or challenge the accuracy surrogate."""

from pathlib import Path
from typing import Annotated

import tyro

from cim_sim import cli
from cim_sim.commands.bench_accuracy import progress
from cim_sim.config import UsageError
from cim_sim.paths import BENCH_TABLE


def surrogate(
    *,
    check: bool = False,
    fit: bool = False,
    fresh: Annotated[cli.Natural, tyro.conf.arg(metavar="N")] = 0,
    round: Annotated[cli.Natural, tyro.conf.arg(metavar="R")] = 0,
    designs: cli.Count = 60,
    table: Path = BENCH_TABLE,
    out: Path = Path("runs/accuracy-bench"),
    workers: cli.Count = 2,
) -> int:
    """Check the accuracy surrogate against trained networks, fit it anew, or challenge it.

    Args:
        check: say how good it is on committed rows that its fit never saw.
        fit: fit it to the whole table and write it beside the code.
        fresh: train this many new random designs and check on those.
        round: train what an optimiser finds best under it; 1, 2, ... are the active rounds.
        designs: how many designs an active round trains.
        table: benchmark table, Parquet.
        out: folder of the table's lines, which an active round adds to.
        workers: number of processes that train.
    """
    from cim_sim.accuracy.bench import table as bench
    from cim_sim.accuracy.surrogate import check as surrogate_check
    from cim_sim.accuracy.surrogate import fit as surrogate_fit
    from cim_sim.accuracy.surrogate.model import load as load_surrogate
    from search.study import active

    if not (check or fit or fresh or round):
        raise UsageError("surrogate: nothing to do; give --check, --fit, --fresh N or --round R")
    figures: dict[str, object] = {}
    if fit:
        print(f"wrote {surrogate_fit.refit(table)}")
    if round:
        model = load_surrogate(table=table, examined=True)
        held = bench.published(table)
        wanted = [one for one in active.round_jobs(model, round, designs) if one.key not in held]
        figures["trained_now"] = bench.run(wanted, out, workers, progress)
    if fresh:
        figures |= surrogate_check.fresh(fresh, workers, table)
    if check:
        figures |= surrogate_check.report(table)
    cli.emit(**figures)
    return 0
