"""A model that says what a file tells it to: for trying a loop without a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cim_sim.config import UsageError
from search.llm.client import Completion


class Scripted:
    """A transport that answers with a line of a file; the request's seed chooses which."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            UsageError: it is empty, or not a text.
        """
        try:
            self._lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeError as error:
            raise UsageError(f"{path}: not a text: {error}") from None
        if not self._lines:
            raise UsageError(f"{path}: is empty; write what the model says, a line for each reply")

    def send(self, request: Mapping[str, Any]) -> Completion:
        """Return the line."""
        line = self._lines[request["seed"] % len(self._lines)]
        return Completion(line, "stop", {"completion_tokens": len(line)})

    def close(self) -> None:
        """Nothing is held."""
