"""A model that says what a file tells it to: for trying a loop without a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.llm.client import Completion


class Scripted:
    """A transport that answers with a line of a file; the request's seed chooses which."""

    def __init__(self, path: Path) -> None:
        self._lines = path.read_text(encoding="utf-8").splitlines()

    def send(self, request: Mapping[str, Any]) -> Completion:
        """Return the line."""
        line = self._lines[request["seed"] % len(self._lines)]
        return Completion(line, "stop", {"completion_tokens": len(line)})

    def close(self) -> None:
        """Nothing is held."""
