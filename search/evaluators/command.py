"""A command as an evaluator: JSON in, JSON out, a time limit, retries, and what it said at last."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from threading import Event
from typing import IO, Any

from cim_sim.config import UsageError

SAID = 400
"""Characters of the end of stderr, or of a bad answer, that a failure keeps."""
LONGEST_ANSWER = 2**20
"""Bytes of the end of what a program prints that are read."""
LOOK_S = 0.2
"""Seconds between two looks at whether a program is still wanted."""


class CommandFailed(Exception):
    """The program ended with an error, or its last line was no JSON."""


def words_of(command: str) -> list[str]:
    """Return the words of a command.

    Raises:
        UsageError: a quotation is open.
    """
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"evaluator: command {command}: {error}") from None


def require_program(words: Sequence[str]) -> None:
    """Raise UsageError unless the first word names a program."""
    if not (words and shutil.which(words[0])):
        raise UsageError(
            f"evaluator: command {shlex.join(words)}: no program {words[0] if words else ''} is "
            "there that may be executed; give a path like ./simulator, or a name on PATH"
        )


def answer_of(
    words: Sequence[str],
    question: Mapping[str, Any],
    *,
    timeout_s: float,
    retries: int,
    stopped: Event,
) -> Any:
    """Run a program until it answers, `retries` times more than once at most.

    Args:
        words: the program and its arguments.
        question: what it reads on stdin.
        timeout_s: for each time.
        retries: after failures.
        stopped: set from another thread, ends the program at once, and starts none.

    Raises:
        TimeoutError: it took too long, the last time.
        CommandFailed: likewise for an exit code or a last line that is no JSON; or it was stopped.
    """
    for _ in range(retries):
        with suppress(CommandFailed, TimeoutError):
            return _answer(words, question, timeout_s, stopped)
    return _answer(words, question, timeout_s, stopped)


def _answer(
    words: Sequence[str], question: Mapping[str, Any], timeout_s: float, stopped: Event
) -> Any:
    if stopped.is_set():
        raise CommandFailed("stopped before it began")
    code, said, errors = _run(words, json.dumps(question), timeout_s, stopped)
    if code:
        raise CommandFailed(f"exit code {code}; stderr ends: {errors.strip()[-SAID:] or 'nothing'}")
    last = (said.strip().splitlines() or [""])[-1]
    try:
        return json.loads(last)
    except ValueError:
        raise CommandFailed(f"the last line of stdout is no JSON: {last[:SAID]!r}") from None


def _run(
    words: Sequence[str], question: str, timeout_s: float, stopped: Event
) -> tuple[int, str, str]:
    """Return exit code and the ends of stdout and stderr, which go to files: they may be long.

    Whatever interrupts this, the program and its children end.
    """
    with TemporaryFile() as asked, TemporaryFile() as said, TemporaryFile() as errors:
        asked.write(question.encode())
        asked.seek(0)
        with subprocess.Popen(
            words, stdin=asked, stdout=said, stderr=errors, start_new_session=True
        ) as process:
            try:
                _wait(process, timeout_s, stopped)
            finally:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        return process.returncode, _end(said), _end(errors)


def _wait(process: "subprocess.Popen[bytes]", timeout_s: float, stopped: Event) -> None:
    """Wait until a program ends; raise where it takes too long or is wanted no more."""
    deadline = time.monotonic() + timeout_s
    while not stopped.is_set():
        left = deadline - time.monotonic()
        try:
            process.wait(min(left, LOOK_S))
        except subprocess.TimeoutExpired:
            if left <= LOOK_S:
                raise TimeoutError(f"no answer within {timeout_s:g} s") from None
        else:
            return
    raise CommandFailed("stopped")


def _end(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_ANSWER))
    return file.read().decode(errors="replace")
