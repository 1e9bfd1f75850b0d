"""The verbs `sweep`, `optimum` and `family`: many problems at once, and what is known of them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from cim_sim import cli
from cim_sim.config import UsageError, dump, load
from cim_sim.paths import ACCURACY_CACHE, EMBEDDED_SPACE
from cim_sim.workers import Executor
from search.study.family import Split

if TYPE_CHECKING:
    from search.study.sweep import Failed, Job, SweepConfig


def sweep(
    config: Annotated[Path, tyro.conf.Positional],
    *,
    out: Path | None = None,
    resume: bool = False,
    evaluator: Literal["surrogate", "trained"] | None = None,
    workers: cli.Count = 2,
    executor: Executor = "processes",
    cache: Path = ACCURACY_CACHE,
) -> int:
    """Run scenarios x optimisers x seeds and print the regret of each optimiser.

    Writes one run directory for each search, trials.parquet, sweep.json and sweep.md.

    Args:
        config: YAML file of the sweep, as in configs/search/.
        out: the sweep's directory, by default runs/NAME for NAME.yaml; must be new or empty unless
            --resume is given.
        resume: go on with the sweep in --out.
        evaluator: instead of the file's.
        workers: processes; each does one search at a time.
        executor: where they run; `ray` uses the cluster at RAY_ADDRESS, or starts a local one.
        cache: where trained accuracies are kept.
    """
    from concurrent.futures.process import BrokenProcessPool

    from search.study.sweep import SweepConfig, begin, jobs

    wanted = load(config, SweepConfig)
    if evaluator:
        wanted = wanted.model_copy(update={"evaluator": evaluator})
    out = out or Path("runs") / config.stem
    tasks = jobs(wanted, out)
    try:
        begin(wanted, out, resume)
        failed = _run(tasks, workers, cache, executor)
        if not failed:
            _report(wanted, tasks, out)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {_go_on(config, out, evaluator)}") from None
    except BrokenProcessPool:
        print(f"a worker process was killed; {_go_on(config, out, evaluator)}", file=sys.stderr)
        return cli.EXIT_FAILED
    except OSError as error:
        print(
            f"{error.filename or out}: {error.strerror}; {_go_on(config, out, evaluator)}",
            file=sys.stderr,
        )
        return cli.EXIT_FAILED
    for one in failed:
        print(f"{one.out}: {one.reason}", file=sys.stderr)
    if failed:
        print(
            f"{len(failed)} of {len(tasks)} runs failed; {_go_on(config, out, evaluator)}",
            file=sys.stderr,
        )
        return cli.EXIT_FAILED
    return 0


def optimum(*, scenario: Path, space: Path = EMBEDDED_SPACE, out: Path | None = None) -> int:
    """Find the best known design of a scenario under the accuracy surrogate.

    Args:
        scenario: YAML file of what is fixed.
        space: YAML file of what is free.
        out: where to write what is found as JSON; `compare --optimum` reads it.
    """
    from cim_sim.files import write_whole
    from cim_sim.scenario import Scenario
    from cim_sim.space import Space
    from search.study.optimum import known

    choices = load(space, Space)
    found = known(load(scenario, Scenario), choices)
    if found.reward is None:
        print(f"no feasible design among {found.evaluations} looked at")
    elif found.method == "exhaustive":
        print(f"optimum {found.reward:.4f}: all {choices.size} designs were looked at")
    else:
        agreement = f"{found.agreeing} of {found.searches} independent searches"
        print(f"best known {found.reward:.4f}: {agreement} ended there")
    if found.median_feasible is not None:
        share = f"{found.feasible_share:.1%} of random designs are feasible"
        print(f"{share}, their median reward is {found.median_feasible:.4f}")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, found.model_dump_json() + "\n")
    record = found.model_dump(mode="json", exclude={"design"})
    cli.emit(**record, design=found.design.wire() if found.design else None)
    return 0


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
        count: how many.
        out: folder for the files.
        space: YAML file of what is free.
        first: number of the first one.
        bench_sigmas: draw sigma from the accuracy benchmark's levels (split train).
    """
    from cim_sim.files import write_whole
    from cim_sim.space import Space
    from search.study.family import scenarios

    wanted = load(space, Space)
    found = scenarios(split, count, wanted, first=first, bench_sigmas=bench_sigmas)
    out.mkdir(parents=True, exist_ok=True)
    for scenario in found:
        write_whole(out / f"{scenario.name}.yaml", dump(scenario))
    cli.emit(out=str(out), split=split, space=wanted.name, scenarios=len(found))
    return 0


def verify(
    sweep: Annotated[Path, tyro.conf.Positional],
    *,
    scenarios: cli.Count = 4,
    seeds: cli.Count = 3,
    workers: cli.Count = 2,
    cache: Path = ACCURACY_CACHE,
) -> int:
    """Re-train the best design of every arm of a finished sweep and see whether the order holds.

    Writes verified.json into the sweep's directory.

    Args:
        sweep: directory of a finished sweep.
        scenarios: the first so many of the sweep.
        seeds: trainings of each design.
        workers: processes that train.
        cache: where trained accuracies are kept.
    """
    from cim_sim.files import read_table, write_whole
    from search.study.sweep import SweepConfig
    from search.study.sweep_page import verified_page
    from search.study.verify import other_seeds, retrain, winners

    config = load(sweep / "sweep.yaml", SweepConfig)
    if not (sweep / "trials.parquet").exists():
        raise UsageError(f"{sweep}: not finished (no trials.parquet)")
    trials = read_table(sweep / "trials.parquet")
    found = winners(trials, config.problems()[:scenarios])
    if not found:
        raise UsageError(f"{sweep}: no run without screening found anything feasible there")
    others = other_seeds(config.accuracy_seed, seeds)
    result = retrain(found, config.space, others, cache, workers)
    write_whole(sweep / "verified.json", result.model_dump_json(indent=2) + "\n")
    print(verified_page(result))
    cli.emit(
        out=str(sweep / "verified.json"),
        winners=len(found),
        kendall_tau=result.kendall_tau,
        reward={one.arm: one.reward for one in result.arms},
    )
    return 0


def tune_baselines(
    *,
    out: Path = Path("runs/tune"),
    into: Path = Path("configs/search"),
    space: Path = EMBEDDED_SPACE,
    workers: cli.Count = 2,
    cache: Path = ACCURACY_CACHE,
) -> int:
    """Tune reinforce, genetic and tpe on training scenarios of the family; resumes what is there.

    Args:
        out: where the sweeps go.
        into: folder of the YAML files with the settings that were found.
        space: YAML file of what is free.
        workers: processes.
        cache: where trained accuracies are kept.
    """
    from cim_sim.files import write_whole
    from cim_sim.space import Space
    from search.study.tune import CHOICES, tune

    wanted, regrets = load(space, Space), {}
    into.mkdir(parents=True, exist_ok=True)
    for optimizer in CHOICES:
        found = tune(optimizer, wanted, out / optimizer, workers, cache)
        before = (
            "worse than the finalists"
            if found.default_regret is None
            else f"{found.default_regret:.3f}"
        )
        about = f"mean regret {found.regret:.3f} on training scenarios; defaults: {before}"
        text = f"# Found by `python -m search tune-baselines`: {about}.\n{dump(found.tuned)}"
        write_whole(into / f"{optimizer}.yaml", text)
        print(f"{optimizer}: {about}")
        regrets[optimizer] = found.regret
    cli.emit(out=str(out), regret=regrets)
    return 0


def _run(tasks: "list[Job]", workers: int, cache: Path, executor: Executor) -> "list[Failed]":
    from search.study.sweep import run_all

    failures = []
    with _counted(len(tasks)) as step:
        for task, failure in run_all(tasks, workers, cache, executor):
            name = "/".join(task.out.parts[-3:])
            step(f"{name}: {failure.reason.splitlines()[0]}" if failure else name)
            failures += [failure] if failure else []
    return failures


@contextmanager
def _counted(total: int) -> Iterator[Callable[[str], None]]:
    """Yield what to call as each run ends: a live bar on a terminal, some fifty lines in a pipe."""
    if sys.stdout.isatty():
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("runs", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, "[progress.description]{task.description}") as bar:
            task = bar.add_task("", total=total)
            yield lambda text: bar.update(task, advance=1, description=escape(text))
        return
    done = 0

    def step(text: str) -> None:
        nonlocal done
        done += 1
        if done * 50 // total != (done - 1) * 50 // total:
            print(f"{done:{len(str(total))}}/{total} runs, last {text}", flush=True)

    yield step


def _report(config: "SweepConfig", tasks: "list[Job]", out: Path) -> None:
    import json

    from cim_sim.files import write_table, write_whole
    from search.study.sweep_page import page
    from search.study.sweep_table import scales_of, summarise, table

    trials = table(tasks)
    write_table(out / "trials.parquet", trials)
    scales = scales_of(config, trials)
    arms = summarise(trials, scales)
    source = next(iter(scales.values())).source if scales else "unknown"
    text = page(arms, source, (len(scales), len(config.problems())), config.seeds)
    write_whole(out / "sweep.md", text)
    records = [arm.model_dump(mode="json") for arm in arms]
    write_whole(out / "sweep.json", json.dumps(records, indent=2) + "\n")
    print(text)
    last = {
        f"{arm.arm}{'+screen' if arm.screen else ''}@{episode}": arm.regret[episode].mean
        for arm in arms
        for episode in [*arm.regret][-1:]
    }
    cli.emit(out=str(out), runs=len(tasks), trials=len(trials), final_regret=last)


def _go_on(config: Path, out: Path, evaluator: str | None) -> str:
    import shlex

    command = ["python", "-m", "search", "sweep", str(config), "--out", str(out), "--resume"]
    command += ["--evaluator", evaluator] if evaluator else []
    return f"what is recorded stays; go on with: {shlex.join(command)}"
