"""The verb `family`: tasks as files, and how new each split is."""

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from cim_sim import cli
from cim_sim.config import UsageError, dump, load
from search.study.cut import TESTS, Split

if TYPE_CHECKING:
    from search.record.tasks import Task


def family(
    *,
    count: cli.Count,
    split: Split | None = None,
    out: Path | None = None,
    space: Path | None = None,
    first: cli.Natural = 0,
    bench_sigmas: bool = False,
    correlation: bool = False,
    training: cli.Count = 500,
    dry_run: bool = False,
) -> int:
    """Write tasks of the family as YAML files: NAME.yaml, and the space as NAME-space.yaml.

    Args:
        count: how many tasks of the split.
        split: which split; with --correlation all test splits unless one is named.
        out: folder for the files.
        space: YAML file of what is free, instead of the spaces that the family draws.
        first: number of the first task; a split is one long list.
        bench_sigmas: draw sigma from the accuracy benchmark's levels (split train).
        correlation: print how alike each split's landscapes are to training ones, under the
            accuracy surrogate, and write nothing.
        training: tasks of the split train that the correlation looks at.
        dry_run: show the counts, and stop.
    """
    from cim_sim.space import Space
    from search.study.family import tasks

    if correlation:
        splits = TESTS if split is None else (split,)
        if out or space or first or bench_sigmas or split == "digits":
            raise UsageError(
                "family --correlation: writes nothing, and looks at the first tasks of every split "
                "but digits; leave out --out, --space, --first and --bench-sigmas"
            )
        if dry_run:
            return cli.planned(splits=", ".join(splits), tasks_of_each=count, training=training)
        return _correlate(splits, count, training)
    if split is None or out is None:
        raise UsageError("family: name the split with --split and the folder with --out")
    if dry_run:
        return cli.planned(tasks=count, writes=f"{out}: NAME.yaml and NAME-space.yaml of each")
    wanted = load(space, Space) if space else None
    drawn = tasks(split, count, first=first, space=wanted, bench_sigmas=bench_sigmas)
    _write(out, drawn)
    cli.emit(out=str(out), split=split, tasks=len(drawn), blind=split == "blind")
    return 0


def _write(out: Path, drawn: "list[Task]") -> None:
    from cim_sim.files import write_whole

    out.mkdir(parents=True, exist_ok=True)
    for task in drawn:
        write_whole(out / f"{task.name}.yaml", dump(task.scenario))
        write_whole(out / f"{task.name}-space.yaml", dump(task.space))


def _correlate(splits: tuple[Split, ...], count: int, training: int) -> int:
    from cim_sim.accuracy.surrogate.model import load as load_surrogate
    from search.study.correlation import HEAD, likenesses, row
    from search.study.family import tasks

    known, surrogate, medians = tasks("train", training), load_surrogate(), {}
    print(HEAD, "|---" * 6 + "|", sep="\n")
    for split in splits:
        if split == "digits":  # the cost of near; its accuracy the surrogate may not know
            continue
        rows = list(likenesses(tasks(split, count), known, surrogate))
        print(row(split, rows), flush=True)
        medians[split] = median(one.best for one in rows)
    cli.emit(training=training, tasks=count, best_of_8=medians)
    return 0
