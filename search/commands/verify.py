"""The verb `verify`: the winners of a sweep, trained again."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cim_sim import cli
from cim_sim.config import UsageError, load
from cim_sim.files import read_table
from cim_sim.paths import ACCURACY_CACHE

if TYPE_CHECKING:
    import pandas as pd

    from search.study.sweep import SweepConfig


def verify(
    sweeps: Annotated[tuple[Path, ...], tyro.conf.Positional],
    *,
    scenarios: cli.Count = 4,
    episodes: cli.Count | None = None,
    seeds: cli.Count = 3,
    workers: cli.Count = 2,
    cache: Path = ACCURACY_CACHE,
    dry_run: bool = False,
) -> int:
    """Re-train the best design of every arm of finished sweeps and see whether the order holds.

    Writes verified.json into the first one's directory.

    Args:
        sweeps: directories of finished sweeps over the same scenarios.
        scenarios: how many of these, from the first on.
        episodes: of each search, from the first on, in which a design may win; else as many as
            the arm with the fewest has.
        seeds: trainings of each design.
        workers: processes that train.
        cache: where trained accuracies are kept.
        dry_run: show the counts, and stop.
    """
    from cim_sim.accuracy.trained import measure_many
    from cim_sim.files import write_whole
    from search.study.verify import names_of, other_seeds, retrain, winners
    from search.study.verify_page import verified_page

    configs, trials = finished(sweeps, scenarios)
    tasks, accuracy_seed = configs[0].tasks[:scenarios], configs[0].accuracy_seed
    budget = episodes or min(arm.episodes for one in configs for arm in one.arms.values())
    best = winners(trials, tasks, budget)
    if not best:
        raise UsageError(f"{sweeps[0]}: no run found anything feasible there")
    if dry_run:
        return cli.planned(
            scenarios=len(tasks),
            episodes=budget,
            winners=len(best),
            trainings_at_most=len(best) * seeds,
            writes=f"{sweeps[0] / 'verified.json'}; trainings are kept in {cache}",
        )
    others = other_seeds(accuracy_seed, seeds)
    result = retrain(
        best, others, lambda queries: measure_many(queries, cache, workers), names_of(trials)
    ).model_copy(update={"episodes": budget, "searches": configs[0].seeds})
    write_whole(sweeps[0] / "verified.json", result.model_dump_json(indent=2) + "\n")
    print(verified_page(result))
    cli.emit(
        out=str(sweeps[0] / "verified.json"),
        winners=len(best),
        kendall_tau=result.kendall_tau,
        reward={arm.arm: arm.reward.mean for arm in result.arms},
    )
    return 0


def finished(
    sweeps: Sequence[Path], scenarios: int
) -> "tuple[Sequence[SweepConfig], pd.DataFrame]":
    """Return sweeps over the same first scenarios, and all their trials.

    Raises:
        UsageError: none is given, one is not finished, they differ in tasks, seeds or evaluator, or
            two have an arm of one name.
    """
    import pandas as pd

    from search.study.sweep import SweepConfig
    from search.study.verify import COLUMNS

    if not sweeps:
        raise UsageError("no sweep is named; type: python -m search verify runs/rivals")
    configs = [load(sweep / "sweep.yaml", SweepConfig) for sweep in sweeps]
    judged = [
        (list(one.tasks[:scenarios]), one.seeds, one.evaluator, one.accuracy_seed)
        for one in configs
    ]
    for sweep, problem in zip(sweeps, judged, strict=True):
        if not (sweep / "trials.parquet").exists():
            raise UsageError(f"{sweep}: not finished (no trials.parquet)")
        if problem != judged[0]:
            raise UsageError(
                f"{sweep}: its first {scenarios} scenarios, its seeds, its evaluator or its "
                f"accuracy_seed are not those of {sweeps[0]}; "
                "verify sweeps over the same problems, or each alone"
            )
    counts = Counter(arm for config in configs for arm in config.arms)
    if twice := [arm for arm, count in counts.items() if count > 1]:
        raise UsageError(
            f"arm {twice[0]} is in {counts[twice[0]]} sweeps, so its winner would be the best of "
            "more runs than those of others: verify these sweeps apart"
        )
    trials = pd.concat([read_table(sweep / "trials.parquet", COLUMNS) for sweep in sweeps])
    return configs, trials
