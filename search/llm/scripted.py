"""A model that says what it is told to: for tests, and for trying a loop without a model."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from search.llm.client import Completion, Unavailable

Line = str | Exception
"""A reply, or an error to raise."""

Script = Sequence[Line] | Callable[[Mapping[str, Any]], Line]


class Scripted:
    """A transport that answers from a script; keeps the requests it got.

    A sequence is answered in the order of requests and then ends with `Unavailable`; a function
    sees the request, so its replies can depend on prompt and seed and survive a resume.
    """

    def __init__(self, script: Script, delay_s: float = 0.0) -> None:
        self.requests: list[Mapping[str, Any]] = []
        self._script = script
        self._lines: Iterator[Line] = iter(() if callable(script) else script)
        self._delay_s, self._lock = delay_s, threading.Lock()

    def send(self, request: Mapping[str, Any]) -> Completion:
        """Return or raise what the script says."""
        time.sleep(self._delay_s)
        with self._lock:
            self.requests.append(request)
            line = self._line(request)
        if isinstance(line, Exception):
            raise line
        return Completion(line, "stop", {"completion_tokens": len(line)})

    def close(self) -> None:
        """Nothing is held."""

    def _line(self, request: Mapping[str, Any]) -> Line:
        if callable(self._script):
            return self._script(request)
        return next(self._lines, Unavailable("the script is at its end"))


def from_file(path: Path) -> Scripted:
    """Return a model that answers with one of the lines of a file, chosen by the request's seed."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return Scripted(lambda request: lines[request["seed"] % len(lines)])
