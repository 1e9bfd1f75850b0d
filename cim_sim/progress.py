"""What a person sees of long work: a live bar on a terminal, lines in a pipe; and the time left."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

REMEMBERED_S = 3600.0
"""The time left follows the steps of so many seconds: one with a training in it takes minutes."""
LINES = 50
"""In a pipe, at most, of work that is merely counted."""


@contextmanager
def counted(name: str, total: int, done: int = 0) -> Iterator[Callable[[str], None]]:
    """Yield what to call, with a word about it, as each part of the work ends.

    Args:
        name: what is counted: `runs`.
        total: how many there are.
        done: how many of them were done before.
    """
    parts = iter(range(done + 1, total + 1))
    with stepped(name, total, done) as step:

        def line(text: str) -> None:
            number, place = next(parts), step(text)
            if not on_terminal() and number * LINES // total != (number - 1) * LINES // total:
                print(f"{place}, last of the {name}: {text}", flush=True)

        yield line


@contextmanager
def stepped(name: str, total: int, done: int = 0) -> Iterator[Callable[[str], str]]:
    """Yield what takes one step and returns how far the work is: `3/20, 0:04:10 left`.

    A terminal shows it as a bar, with the text that a step is given beside it.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    left, text_column = TimeRemainingColumn(), TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), left, text_column)
    hidden = not on_terminal()
    with Progress(*columns, speed_estimate_period=REMEMBERED_S, disable=hidden) as progress:
        task = progress.add_task("", total=total, completed=done)

        def step(text: str) -> str:
            progress.update(task, advance=1, description=text)
            now = progress.tasks[0]
            return f"{int(now.completed):{len(str(total))}}/{total}, {left.render(now)} left"

        yield step


def on_terminal() -> bool:
    """Whether a person sees what is printed as it is printed."""
    return sys.stdout.isatty()
