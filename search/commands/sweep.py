"""The verb `sweep`: scenarios x optimisers x seeds, resumable as a whole."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from cim_sim import cli
from cim_sim.config import dump, load, parse
from cim_sim.paths import ACCURACY_CACHE
from cim_sim.workers import Executor
from search.commands.compare import EXIT_REFUSED
from search.study.cut import Split

if TYPE_CHECKING:
    from search.study.sweep import Failed, Job, SweepConfig


def sweep(
    config: Annotated[Path, tyro.conf.Positional],
    *,
    out: Path | None = None,
    resume: bool = False,
    evaluator: Literal["surrogate", "trained"] | None = None,
    split: Split | None = None,
    seeds: cli.Count | None = None,
    workers: cli.Count = 2,
    executor: Executor = "processes",
    cache: Path = ACCURACY_CACHE,
    dry_run: bool = False,
) -> int:
    """Run scenarios x optimisers x seeds and compare the optimisers.

    Writes one run directory for each search, trials.parquet, and what `compare` writes. Exit 3:
    the runs are there, but cannot be compared.

    Args:
        config: YAML file of the sweep, as in configs/search/.
        out: the sweep's directory, by default runs/NAME for NAME.yaml, runs/NAME-SPLIT with
            --split; must be new or empty unless --resume is given.
        resume: go on with the sweep in --out.
        evaluator: where accuracies come from, instead of what the file says.
        split: which tasks of the family, instead of what the file says.
        seeds: how many of them, instead of what the file says.
        workers: processes; each does one search at a time.
        executor: where they run; `ray` uses the cluster at RAY_ADDRESS, or starts a local one.
        cache: where trained accuracies are kept.
        dry_run: show the configuration, the counts and how models would be served, and stop.
    """
    from concurrent.futures.process import BrokenProcessPool

    from search.comparison.equality import NotComparable
    from search.comparison.page import arms_table
    from search.comparison.write import compared, write
    from search.llm.sharing import shared
    from search.optimizers import model_of
    from search.proposal import SearchStopped
    from search.study.sweep import SweepConfig, begin, jobs, of_split, unfinished
    from search.study.table import write_trials

    wanted = load(config, SweepConfig)
    if evaluator:
        wanted = wanted.model_copy(update={"evaluator": evaluator})
    if split:
        wanted = of_split(wanted, split)
    if seeds:
        wanted = parse(wanted.model_dump(mode="json") | {"seeds": seeds}, SweepConfig, "--seeds")
    out = out or Path("runs") / (f"{config.stem}-{split}" if split else config.stem)
    again = _go_on(config, out, evaluator=evaluator, split=split, seeds=seeds)
    tasks = jobs(wanted, out)
    if dry_run:
        return _plan(wanted, tasks, out, resume)
    try:
        begin(wanted, out, resume)
        waiting = unfinished(tasks) if executor == "processes" else []
        with shared(filter(None, (model_of(job.config) for job in waiting)), out):
            failed = _run(tasks, workers, cache, executor)
        if failed:
            reasons = "\n".join(f"{failure.out}: {failure.reason}" for failure in failed)
            raise SearchStopped(f"{reasons}\n{len(failed)} of {len(tasks)} runs failed; {again}")
        count = write_trials(tasks, out)
        material = compared([out], out, ["screen"] if len(wanted.screens) > 1 else [])
        write(material, out)
    except NotComparable as refusal:
        print(refusal, file=sys.stderr)
        return EXIT_REFUSED
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {again}") from None
    except BrokenProcessPool:
        raise SearchStopped(f"a worker process was killed; {again}") from None
    except OSError as error:
        raise SearchStopped(f"{error.filename or out}: {error.strerror}; {again}") from None
    print(arms_table(material.comparison))
    print("\n".join(claim.sentence for claim in material.comparison.claims))
    final = {f"{arm.name}@{arm.episodes}": arm.curve[-1] for arm in material.comparison.arms}
    cli.emit(out=str(out), runs=len(tasks), trials=count, final_regret=final)
    return 0


def _plan(wanted: "SweepConfig", tasks: "list[Job]", out: Path, resume: bool) -> int:
    from search.llm.connection import answered_by
    from search.optimizers import model_of
    from search.study.sweep import require_beginnable, unfinished

    require_beginnable(wanted, out, resume)
    print(dump(wanted))
    models = {str(model): model for job in tasks if (model := model_of(job.config))}
    for model in models.values():
        print(f"{model.name}: {answered_by(model)}\n")
    return cli.planned(
        scenarios=len(wanted.tasks),
        arms=", ".join(wanted.arms),
        runs=len(tasks),
        finished=len(tasks) - len(unfinished(tasks)),
        episodes=sum(job.config.episodes for job in tasks),
        writes=f"{out}: sweep.yaml, runs/, trials.parquet, and what compare writes",
    )


def _run(tasks: "list[Job]", workers: int, cache: Path, executor: Executor) -> "list[Failed]":
    from cim_sim.progress import counted
    from search.study.sweep import run_all

    failures = []
    with counted("runs", len(tasks)) as step:
        for task, failure in run_all(tasks, workers, cache, executor):
            name = "/".join(task.out.parts[-3:])
            step(f"{name}: {failure.reason.splitlines()[0]}" if failure else name)
            failures += [failure] if failure else []
    return failures


def _go_on(config: Path, out: Path, **options: object) -> str:
    import shlex

    command = ["python", "-m", "search", "sweep", str(config), "--out", str(out), "--resume"]
    for name, value in options.items():
        command += [f"--{name}", str(value)] if value else []
    return f"what is recorded stays; go on with: {shlex.join(command)}"
