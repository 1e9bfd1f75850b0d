"""The verb `bench-accuracy`: train the networks of the benchmark table."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import UsageError
from cim_sim.workers import Executor


def bench_accuracy(
    *,
    n: int | None = None,
    workers: cli.Count = 2,
    out: Path = Path("runs/accuracy-bench"),
    seed: cli.Natural = 0,
    publish: Path | None = None,
    executor: Executor = "processes",
    dry_run: bool = False,
) -> int:
    """Train the networks of the benchmark table; the same command again goes on where it stopped.

    Args:
        n: how many of the list's trainings to have in the end; all when not given.
        workers: number of processes, one thread each; with Ray, those of the local cluster.
        out: folder of the table's lines.
        seed: seed of the list of networks.
        publish: Parquet table that all finished trainings of the folder are joined to; what it
            holds already is not trained again, and the card beside it is brought up to date.
        executor: where they train; `ray` uses the cluster at RAY_ADDRESS, or starts a local one.
        dry_run: show the counts, and stop.
    """
    from cim_sim.accuracy.bench import card as bench_card
    from cim_sim.accuracy.bench import table as bench
    from cim_sim.accuracy.bench.jobs import jobs

    if n is not None and n < 0:
        raise UsageError(f"bench-accuracy: --n {n} is less than 0")
    held = bench.published(publish) if publish else set()
    wanted = [job for job in jobs(seed)[:n] if job.key not in held]
    if dry_run:
        done = {training.key for training in bench.read(out / bench.LINES)}
        return cli.planned(
            trainings=len(wanted),
            finished=sum(job.key in done for job in wanted),
            workers=workers,
            writes=f"{out / bench.LINES}{f'; {publish} and its card' if publish else ''}",
        )
    trained = bench.run(wanted, out, workers, executor)
    if publish:
        count = bench.publish(out / bench.LINES, publish)
        print(f"{publish} holds {count} trainings")
        if count:
            bench_card.update(publish)
    cli.emit(trainings=len(wanted), trained_now=trained, out=str(out / bench.LINES))
    return 0
