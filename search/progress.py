"""What a person sees of a running search or sweep: a live bar on a terminal, lines in a pipe."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from search.record.manifest import RunConfig
from search.record.trace import Trial


@contextmanager
def shown(config: RunConfig, before: Sequence[Trial]) -> Iterator[Callable[[Trial], None]]:
    """Yield what to call with each new trial.

    Args:
        config: of the run.
        before: trials that an earlier session recorded.
    """
    best = _Best(before)
    if before:
        print(f"going on after {len(before)} of {config.episodes} episodes", flush=True)
    if not sys.stdout.isatty():
        yield lambda trial: print(best.line(trial, config.episodes), flush=True)
        return
    with _bar(config, len(before), best) as advance:
        yield advance


def outcome(trial: Trial) -> str:
    """Say in a few words what became of a trial."""
    if trial.failure is not None:
        text = f"failed ({trial.failure.kind}): {trial.failure.message}"
    elif trial.evaluation is not None and trial.evaluation.infeasible is not None:
        fault = trial.evaluation.infeasible
        text = f"infeasible ({fault.kind}): {fault.reason}"
    else:
        text = f"reward {trial.score:.4f}"
    again = f", as in episode {trial.duplicate_of + 1}" if trial.duplicate_of is not None else ""
    return text.splitlines()[0][:160] + again


class _Best:
    """The best reward so far, as trials pass by."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.trial: Trial | None = None
        for trial in trials:
            self.see(trial)

    def see(self, trial: Trial) -> None:
        if trial.feasible and (self.trial is None or trial.score > self.trial.score):
            self.trial = trial

    def line(self, trial: Trial, episodes: int) -> str:
        self.see(trial)
        design = trial.design.wire() if trial.design else "no design"
        width = len(str(episodes))
        place = f"{trial.step + 1:{width}}/{episodes}"
        return f"{place}  {outcome(trial)}  best {self}  {design}"

    def __str__(self) -> str:
        return f"{self.trial.score:.4f}" if self.trial else "none"


@contextmanager
def _bar(config: RunConfig, done: int, best: _Best) -> Iterator[Callable[[Trial], None]]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("best {task.fields[best]}  {task.fields[last]}", markup=False),
    )
    with Progress(*columns) as progress:
        task = progress.add_task(
            config.optimizer, total=config.episodes, completed=done, best=str(best), last=""
        )

        def advance(trial: Trial) -> None:
            best.see(trial)
            progress.update(task, advance=1, best=str(best), last=outcome(trial))

        yield advance


@contextmanager
def counted(total: int) -> Iterator[Callable[[str], None]]:
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
