"""What the three programs share: verbs, exit codes, and the closing line of JSON."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from concurrent.futures.process import BrokenProcessPool
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

from pydantic import ValidationError
from tyro.constructors import PrimitiveConstructorSpec

from cim_sim.config import Stopped, UsageError
from cim_sim.extras import missing

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

Verb = Callable[..., int | None]


def _whole(least: int) -> PrimitiveConstructorSpec[int]:
    """A whole number of at least `least`, refused as an option is read."""

    def read(words: list[str]) -> int:
        if int(words[0]) < least:
            raise ValueError(f"{words[0]} is less than {least}")
        return int(words[0])

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, int),
        str_from_instance=lambda value: [str(value)],
    )


Count = Annotated[int, _whole(1)]
"""Of an option: 1 or more."""
Natural = Annotated[int, _whole(0)]
"""Of an option: 0 or more."""


def run(program: str, description: str, verbs: Mapping[str, Verb]) -> int:
    """Run the verb named on the command line and return its exit code.

    0 done, 1 failed, 2 bad usage or configuration, 3 comparison refused (the verb's own
    return), 130 interrupted.
    """
    try:
        code = _call(program, description, verbs)
    except (UsageError, Stopped) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or f"interrupted{_going_on(verbs)}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `... | head` closed our output: not an error, and nothing to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (FileExistsError, NotADirectoryError) as error:
        print(f"{_failure(error)}: a file lies where a folder should be; name one", file=sys.stderr)
        return EXIT_USAGE
    except FAILURES as error:
        print(_failure(error), file=sys.stderr)
        return EXIT_FAILED
    return int(code or 0)


FAILURES = (OSError, BrokenProcessPool, ValidationError, RecursionError, MemoryError, UnicodeError)
"""Of the machine, or of a file that is too deep, too large or of a kind that no reader foresaw."""


def _failure(error: BaseException) -> str:
    """Say in a line what failed."""
    if isinstance(error, BrokenProcessPool):
        return "a worker was killed; what was done stays, type the same again"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _call(program: str, description: str, verbs: Mapping[str, Verb]) -> int | None:
    """Run the verb; a package that it needs and that is absent is a fault of usage."""
    import tyro

    try:
        return tyro.extras.subcommand_cli_from_dict(
            dict(verbs), prog=program, description=description, sort_subcommands=False
        )
    except ModuleNotFoundError as error:
        raise missing(error) from error


def planned(**facts: Any) -> int:
    """Say what a verb would do, and the command that does it: the end of each `--dry-run`.

    Args:
        facts: counts, and what would be written where, by the word that begins their line.
    """
    for name, fact in facts.items():
        print(f"{name.replace('_', ' '):18} {fact}")
    print(f"to do it:\n  {_typed()}")
    emit(dry_run=True, **facts)
    return 0


def _going_on(verbs: Mapping[str, Verb]) -> str:
    """Say how a verb that can resume goes on; with --resume `out` is not written over."""
    verb = verbs.get(sys.argv[1]) if len(sys.argv) > 1 else None
    if verb is None or "resume" not in signature(verb).parameters:
        return ""
    return f"; go on with: {_typed('--resume', '--no-resume', '--overwrite')} --resume"


def _typed(*left_out: str) -> str:
    """Return the command that was typed, without --dry-run and other words."""
    program = Path(sys.argv[0])
    name = program.name
    if name == "__main__.py":
        name = f"python -m {program.parent.name}"
    left_out += ("--dry-run", "--dry_run")
    return f"{name} {shlex.join(word for word in sys.argv[1:] if word not in left_out)}"


def emit(**values: Any) -> None:
    """Print the one line of JSON with which each measuring command ends."""
    print(json.dumps(values, allow_nan=False), flush=True)
