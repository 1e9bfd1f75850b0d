"""The verb `verify`: the winners of a sweep, trained again."""

from pathlib import Path
from typing import Annotated

import tyro

from cim_sim import cli
from cim_sim.config import UsageError, load
from cim_sim.files import read_table
from cim_sim.paths import ACCURACY_CACHE


def verify(
    sweep: Annotated[Path, tyro.conf.Positional],
    *,
    scenarios: cli.Count = 4,
    seeds: cli.Count = 3,
    workers: cli.Count = 2,
    cache: Path = ACCURACY_CACHE,
    dry_run: bool = False,
) -> int:
    """Re-train the best design of every arm of a finished sweep and see whether the order holds.

    Writes verified.json into the sweep's directory.

    Args:
        sweep: directory of a finished sweep.
        scenarios: how many of the sweep's scenarios, from the first on.
        seeds: trainings of each design.
        workers: processes that train.
        cache: where trained accuracies are kept.
        dry_run: show the counts, and stop.
    """
    from cim_sim.accuracy.trained import measure_many
    from cim_sim.files import write_whole
    from search.study.sweep import SweepConfig
    from search.study.verify import other_seeds, retrain, winners
    from search.study.verify_page import verified_page

    config = load(sweep / "sweep.yaml", SweepConfig)
    if not (sweep / "trials.parquet").exists():
        raise UsageError(f"{sweep}: not finished (no trials.parquet)")
    trials = read_table(sweep / "trials.parquet")
    best = winners(trials, config.tasks[:scenarios])
    if not best:
        raise UsageError(f"{sweep}: no run without screening found anything feasible there")
    if dry_run:
        return cli.planned(
            scenarios=len(config.tasks[:scenarios]),
            winners=len(best),
            trainings_at_most=len(best) * seeds,
            writes=f"{sweep / 'verified.json'}; trainings are kept in {cache}",
        )
    others = other_seeds(config.accuracy_seed, seeds)
    result = retrain(best, others, lambda queries: measure_many(queries, cache, workers))
    write_whole(sweep / "verified.json", result.model_dump_json(indent=2) + "\n")
    print(verified_page(result))
    cli.emit(
        out=str(sweep / "verified.json"),
        winners=len(best),
        kendall_tau=result.kendall_tau,
        reward={arm.arm: arm.reward for arm in result.arms},
    )
    return 0
