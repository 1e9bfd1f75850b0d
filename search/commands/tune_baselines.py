"""The verb `tune-baselines`: the rivals' settings, found with the same effort for each."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import dump, load
from cim_sim.paths import ACCURACY_CACHE


def tune_baselines(
    *,
    out: Path = Path("runs/tune"),
    into: Path = Path("configs/search"),
    space: Path | None = None,
    workers: cli.Count = 2,
    cache: Path = ACCURACY_CACHE,
    dry_run: bool = False,
) -> int:
    """Tune reinforce, marl, genetic and tpe on training tasks of the family; resumes what is there.

    Args:
        out: folder of the sweeps.
        into: folder of the YAML files with the settings that were result.
        space: YAML file of what is free, instead of the spaces that the family draws.
        workers: processes; each does one search at a time.
        cache: where trained accuracies are kept.
        dry_run: show the counts, and stop.
    """
    from cim_sim.files import write_whole
    from cim_sim.space import Space
    from search.study.tune import CHOICES, effort, tune

    wanted, regrets = load(space, Space) if space else None, {}
    if dry_run:
        places = f"{out}: the sweeps; {into}: {', '.join(f'{name}.yaml' for name in CHOICES)}"
        return cli.planned(
            **effort(), minutes="about 40 with two workers beside other work", writes=places
        )
    into.mkdir(parents=True, exist_ok=True)
    for optimizer in CHOICES:
        result = tune(optimizer, out / optimizer, workers, cache, wanted)
        default = result.default_regret
        before = "worse than the finalists" if default is None else f"{default:.3f}"
        about = f"mean regret {result.regret:.3f} on training scenarios; defaults: {before}"
        text = f"# Found by `python -m search tune-baselines`: {about}.\n{dump(result.tuned)}"
        write_whole(into / f"{optimizer}.yaml", text)
        print(f"{optimizer}: {about}")
        regrets[optimizer] = result.regret
    cli.emit(out=str(out), regret=regrets)
    return 0
