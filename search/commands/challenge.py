"""The verb `challenge`: an active round, which trains what exploits the accuracy surrogate."""

from pathlib import Path
from typing import Annotated

import tyro

from cim_sim import cli
from cim_sim.paths import BENCH_TABLE


def challenge(
    *,
    number: Annotated[cli.Count, tyro.conf.arg(name="round", metavar="R")],
    designs: cli.Count = 60,
    table: Path = BENCH_TABLE,
    out: Path = Path("runs/accuracy-bench"),
    workers: cli.Count = 2,
    dry_run: bool = False,
) -> int:
    """Train the designs that an optimiser finds best under the accuracy surrogate.

    The tasks are training ones of the family. `cim_sim bench-accuracy --n 0 --publish TABLE`
    and `cim_sim surrogate --fit` then take the trainings in.

    Args:
        number: which round; every number has scenarios of its own.
        designs: how many designs the round trains.
        table: benchmark table, Parquet; what it holds is not trained again.
        out: folder of the trainings' lines, to which those of the round are added.
        workers: processes that train.
        dry_run: show the counts, and stop.
    """
    from cim_sim.accuracy.bench import table as bench
    from cim_sim.accuracy.surrogate.model import load as load_surrogate
    from search.study.active import round_jobs

    if dry_run:
        return cli.planned(
            round=number,
            trainings_at_most=designs,
            held=f"{len(bench.published(table))} trainings in {table}",
            writes=str(out / bench.LINES),
        )
    surrogate = load_surrogate(table=table, examined=True)
    held = bench.published(table)
    jobs = [job for job in round_jobs(surrogate, number, designs) if job.key not in held]
    trained = bench.run(jobs, out, workers)
    cli.emit(trainings=len(jobs), trained_now=trained, out=str(out / bench.LINES))
    return 0
