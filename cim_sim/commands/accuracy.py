"""The verb `accuracy`: train one design's network and test it."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import load
from cim_sim.paths import ACCURACY_CACHE, EMBEDDED_SPACE


def accuracy(
    design: str,
    scenario: Path,
    space: Path = EMBEDDED_SPACE,
    seed: cli.Natural = 0,
    cache: Path = ACCURACY_CACHE,
) -> int:
    """Train a design's proxy network and test it under the scenario's device variation.

    Args:
        design: the design as JSON, as in '[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]'.
        scenario: YAML file; its variation, recipe and ADC setting count, its objective does not.
        space: YAML file; says how much narrower the trained network is.
        seed: seed of initial weights, order, training noise and the tested chips.
        cache: SQLite file of trained accuracies.
    """
    from cim_sim.accuracy.trained import measure
    from cim_sim.scenario import Scenario
    from cim_sim.space import Space, parse_design

    chosen, problem, choices = (
        parse_design(design, "--design"),
        load(scenario, Scenario),
        load(space, Space),
    )
    problem.require_fits(choices)
    choices.require(chosen)
    query = problem.query(chosen, choices, seed)
    answer = measure(query, cache)
    print(f"network      {[list(layer) for layer in query.layers]} on {query.dataset}")
    print(
        f"trained at   sigma {query.training_sigma:.4g}, {query.recipe.epochs} epochs, seed {seed}"
    )
    print(f"clean        {answer.clean:.4f}")
    print(
        f"noisy        {answer.mean:.4f} +- {answer.standard_error:.4f} at sigma {query.sigma:.4g} "
        f"({answer.draws} draws of standard deviation {answer.std:.4f})"
    )
    print(f"worst tenth  {answer.quantile_10:.4f}")
    cli.emit(
        **answer.model_dump(exclude={"predictive_std"}),
        standard_error=answer.standard_error,
        sigma=query.sigma,
        training_sigma=query.training_sigma,
        key=query.key,
    )
    return 0


def bench_accuracy(
    *,
    n: int | None = None,
    workers: cli.Count = 2,
    out: Path = Path("runs/accuracy-bench"),
    seed: cli.Natural = 0,
    publish: Path | None = None,
    executor: Executor = "processes",
) -> int:
    """Train the networks of the benchmark table; the same command again goes on where it stopped.

    Args:
        n: how many of the list's trainings to have in the end; all when not given.
        workers: processes, one thread each; with Ray, those of the local cluster.
        out: folder of the table's lines.
        seed: of the list of networks.
        publish: Parquet table that all finished trainings of the folder are joined to; what it
            holds already is not trained again, and the card beside it is brought up to date.
        executor: where they train; `ray` uses the cluster at RAY_ADDRESS, or starts a local one.
    """
    from cim_sim.accuracy.bench import card as bench_card
    from cim_sim.accuracy.bench import table as bench
    from cim_sim.accuracy.bench.jobs import jobs

    if n is not None and n < 0:
        raise UsageError(f"bench-accuracy: --n {n} is less than 0")
    held = bench.published(publish) if publish else set()
    wanted = [job for job in jobs(seed)[:n] if job.key not in held]
    trained = bench.run(wanted, out, workers, training_progress, executor)
    if publish:
        count = bench.publish(out / bench.LINES, publish)
        print(f"{publish} holds {count} trainings")
        if count:
            bench_card.update(publish)
    cli.emit(trainings=len(wanted), trained_now=trained, out=str(out / bench.LINES))
    return 0


def training_progress(done: int, total: int) -> None:
    """Print how far a list of trainings is: every tenth in a pipe, each on a terminal."""
    if done % 10 == 0 or done == total or sys.stderr.isatty():
        print(f"{done} of {total} trainings done", file=sys.stderr, flush=True)


def surrogate(
    *,
    check: bool = False,
    fit: bool = False,
    fresh: Annotated[cli.Natural, tyro.conf.arg(metavar="N")] = 0,
    table: Path = BENCH,
    workers: cli.Count = 2,
) -> int:
    """Check the accuracy surrogate against trained networks, or fit it anew.

    Args:
        check: how good it is on committed rows that its fit never saw.
        fit: fit it to the whole table and write it beside the code.
        fresh: train this many new random designs and check on those.
        table: benchmark table, Parquet.
        workers: processes that train.
    """
    from cim_sim.accuracy.surrogate import check as surrogate_check
    from cim_sim.accuracy.surrogate import fit as surrogate_fit

    if not (check or fit or fresh):
        raise UsageError("surrogate: nothing to do; give --check, --fit or --fresh N")
    figures: dict[str, object] = {}
    if fit:
        print(f"wrote {surrogate_fit.refit(table)}")
    if fresh:
        figures |= surrogate_check.fresh(fresh, workers, table)
    if check:
        figures |= surrogate_check.report(table)
    cli.emit(**figures)
    return 0
