"""What a directory is for: written before the work that fills it, and compared when it goes on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cim_sim.config import UsageError
from cim_sim.files import write_whole

ASKED = "asked.json"
"""Of a pipeline, of rounds or of an ablation."""
TRAINING = "training.json"
"""Of the training alone, whichever verb began it."""


def claim(folder: Path, asked: Mapping[str, Any], name: str = ASKED) -> None:
    """Write down what a directory is for; whoever asks for the same goes on with it.

    Raises:
        UsageError: it was begun for something else.
    """
    file = folder / name
    if file.is_file():
        there = json.loads(file.read_text(encoding="utf-8"))
        keys = sorted({*there, *asked})
        others = " and ".join(key for key in keys if there.get(key) != asked.get(key))
        if others:
            raise UsageError(
                f"{folder} was begun with another {others}: give what it was begun with, or begin "
                "anew in another directory with --out"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(asked, indent=1) + "\n")
