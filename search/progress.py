"""What a person sees of a running search or sweep: a live bar on a terminal, lines in a pipe."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from search.record.manifest import RunConfig
from search.record.trace import Trial

REMEMBERED_S = 3600.0
"""The time left follows the steps of so many seconds: one with a training in it takes minutes."""


@contextmanager
def shown(config: RunConfig, before: Sequence[Trial]) -> Iterator[Callable[[Trial], None]]:
    """Yield what to call with each new trial.

    Args:
        config: of the run.
        before: trials that an earlier session recorded.
    """
    rewards = [trial.score for trial in before if trial.feasible]
    if before:
        print(f"going on after {len(before)} of {config.episodes} episodes", flush=True)

    def best_with(trial: Trial) -> str:
        rewards.extend([trial.score] if trial.feasible else [])
        return f"best {max(rewards):.4f}" if rewards else "best none"

    if sys.stdout.isatty():
        with _bar(config.optimizer, config.episodes, len(before)) as step:
            yield lambda trial: step(f"{best_with(trial)}  {outcome(trial)}")
        return
    width = len(str(config.episodes))

    def line(trial: Trial) -> None:
        design = trial.design.wire() if trial.design else "no design"
        place = f"{trial.step + 1:{width}}/{config.episodes}"
        print(f"{place}  {outcome(trial)}  {best_with(trial)}  {design}", flush=True)

    yield line


@contextmanager
def counted(total: int) -> Iterator[Callable[[str], None]]:
    """Yield what to call as each run ends: a live bar on a terminal, some fifty lines in a pipe."""
    if sys.stdout.isatty():
        with _bar("runs", total) as step:
            yield step
        return
    numbers = count(1)

    def line(text: str) -> None:
        done = next(numbers)
        if done * 50 // total != (done - 1) * 50 // total:
            print(f"{done:{len(str(total))}}/{total} runs, last {text}", flush=True)

    yield line


def outcome(trial: Trial) -> str:
    """Say in a few words what became of a trial."""
    if trial.failure is not None:
        text = f"failed ({trial.failure.kind}): {trial.failure.message}"
    elif trial.evaluation is not None and trial.evaluation.infeasible is not None:
        fault = trial.evaluation.infeasible
        kind = "" if fault.kind == "own" else f" ({fault.kind})"
        text = f"infeasible{kind}: {fault.reason}"
    else:
        measured = trial.evaluation.measured if trial.evaluation else {}
        numbers = (f"{name} {value:.5g}" for name, value in measured.items())
        text = ", ".join([f"reward {trial.score:.4f}", *numbers])
    again = f", as in episode {trial.duplicate_of + 1}" if trial.duplicate_of is not None else ""
    return text.splitlines()[0][:160] + again


@contextmanager
def _bar(name: str, total: int, done: int = 0) -> Iterator[Callable[[str], None]]:
    """Yield what takes one step of a live bar, with the time left, and shows a text beside it."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    text_column = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), text_column)
    with Progress(*columns, speed_estimate_period=REMEMBERED_S) as progress:
        task = progress.add_task("", total=total, completed=done)
        yield lambda text: progress.update(task, advance=1, description=text)
