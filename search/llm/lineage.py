"""What a local model was made from: its adapter, and whether it only stands in for another."""

from pathlib import Path

import yaml

from cim_sim.files import read
from search.llm.model import ModelConfig
from search.record.adapter import MANIFEST, TRAINED_ON, Lineage, read_adapter
from search.record.tasks import Task
from search.transfer import distances

STAND_IN = "stand-in"
"""Tag in the card of a model that only stands in for a general language model."""


def lineage_of(model: ModelConfig, task: Task) -> Lineage:
    """Read the lineage of a model, and how near `task` is to what it was trained on.

    A merged copy carries the records of its adapter, so that it may be moved; of a model that is
    served elsewhere, or whose folder has no card, nothing is known.

    Raises:
        UsageError: a manifest or a round-trip result is damaged.
    """
    if model.path is None:
        return Lineage(
            stand_in=False, adapter=None, unknown=None if model.script else "served elsewhere"
        )
    places = [model.adapter] if model.adapter else [model.path.parent, model.path]
    folder = next((place for place in places if (place / MANIFEST).is_file()), model.adapter)
    if folder is None:
        known = (model.path / "README.md").is_file()
        stand_in = is_stand_in(model.path)
        return Lineage(stand_in=stand_in, adapter=None, unknown=None if known else "no card")
    adapter = read_adapter(folder)
    stand_in = adapter.manifest.stand_in or is_stand_in(Path(adapter.manifest.base))
    return Lineage(stand_in=stand_in, adapter=adapter, nearest=_nearest(folder, task))


def _nearest(folder: Path, task: Task) -> tuple[str, float] | None:
    tasks = read(folder / TRAINED_ON, Task, "copy the adapter's folder anew").records
    if not tasks:
        return None
    far = distances(task, tasks)
    return tasks[int(far.argmin())].name, round(float(far.min()), 4)


def is_stand_in(path: Path) -> bool:
    """Look for the tag in the YAML header of the model's card."""
    card = path / "README.md"
    if not card.is_file():
        return False
    parts = card.read_text(encoding="utf-8").split("---\n")
    header = yaml.safe_load(parts[1]) if len(parts) > 2 else None
    return isinstance(header, dict) and STAND_IN in (header.get("tags") or ())
