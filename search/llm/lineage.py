"""What a local model was made from: its adapter, and whether it only stands in for another."""

from pathlib import Path

import yaml

from search.llm.model import ModelConfig
from search.record.adapter import MANIFEST, Lineage, read_adapter

STAND_IN = "stand-in"
"""Tag in the card of a model that only stands in for a general language model."""


def lineage_of(model: ModelConfig) -> Lineage:
    """Read the lineage of a model; of one that is served elsewhere nothing is known.

    Raises:
        UsageError: a manifest or a round-trip result is damaged.
    """
    if model.path is None:
        return Lineage(stand_in=False, adapter=None)
    # A merged copy lies inside the directory of its adapter.
    places = [model.adapter] if model.adapter else [model.path, model.path.parent]
    folder = next((place for place in places if (place / MANIFEST).is_file()), model.adapter)
    if folder is None:
        return Lineage(stand_in=_is_stand_in(model.path), adapter=None)
    adapter = read_adapter(folder)
    return Lineage(stand_in=_is_stand_in(Path(adapter.manifest.base)), adapter=adapter)


def _is_stand_in(path: Path) -> bool:
    """Look for the tag in the YAML header of the model's card."""
    card = path / "README.md"
    if not card.is_file():
        return False
    parts = card.read_text(encoding="utf-8").split("---\n")
    header = yaml.safe_load(parts[1]) if len(parts) > 2 else None
    return isinstance(header, dict) and STAND_IN in (header.get("tags") or ())
