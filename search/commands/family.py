"""The verb `family`: scenarios as files."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import dump, load
from cim_sim.paths import EMBEDDED_SPACE
from search.study.family import Split


def family(
    *,
    split: Split,
    count: cli.Count,
    out: Path,
    space: Path = EMBEDDED_SPACE,
    first: cli.Natural = 0,
    bench_sigmas: bool = False,
) -> int:
    """Write scenarios of the family as YAML files.

    Args:
        split: train, validation, test, or digits (test on the second dataset).
        count: how many scenarios.
        out: folder for the files.
        space: YAML file of what is free; the rest of the hardware is drawn.
        first: number of the first scenario; a split is one long list.
        bench_sigmas: draw sigma from the accuracy benchmark's levels (split train).
    """
    from cim_sim.files import write_whole
    from cim_sim.space import Space
    from search.study.family import scenarios

    wanted = load(space, Space)
    drawn = scenarios(split, count, wanted, first=first, bench_sigmas=bench_sigmas)
    out.mkdir(parents=True, exist_ok=True)
    for scenario in drawn:
        write_whole(out / f"{scenario.name}.yaml", dump(scenario))
    cli.emit(out=str(out), split=split, space=wanted.name, scenarios=len(drawn))
    return 0
