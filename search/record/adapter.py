"""What a local model was made from: its adapter's manifest, the round-trip check, a stand-in."""

import json
from pathlib import Path
from typing import Any

import yaml

from cim_sim.config import Config, UsageError
from search.llm.model import ModelConfig

MANIFEST = "adapter_manifest.json"
ROUND_TRIP = "roundtrip.json"
STAND_IN = "stand-in"
"""Tag in the card of a model that only stands in for a general language model."""
_LONG = ("recipe", "versions", "losses")


class Adapter(Config):
    """A fine-tuned adapter as its directory described it when the run began."""

    path: str
    manifest: dict[str, Any]
    """Without recipe, versions and losses."""
    round_trip: dict[str, Any] | None
    """None: nobody checked that the served model is the trained one."""

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Digests of the scenarios in its training data."""
        return tuple(self.manifest.get("trained_on", ()))

    @property
    def passed(self) -> bool:
        """Whether the round trip was made and passed."""
        return self.round_trip is not None and self.round_trip.get("passed") is True


class Lineage(Config):
    """Where a language model comes from."""

    stand_in: bool
    """It, or the base under it, is no general model but stands in for one."""
    adapter: Adapter | None


def lineage_of(model: ModelConfig) -> Lineage:
    """Read the lineage of a model; of one that is served elsewhere nothing is known.

    Raises:
        UsageError: a manifest or a round-trip result is damaged.
    """
    if model.path is None:
        return Lineage(stand_in=False, adapter=None)
    folder = _adapter_of(model.path, model.adapter)
    if folder is None:
        return Lineage(stand_in=_is_stand_in(model.path), adapter=None)
    manifest = _read(folder / MANIFEST)
    base = Path(str(manifest.get("base", "")))
    adapter = Adapter(
        path=str(folder),
        manifest={key: value for key, value in manifest.items() if key not in _LONG},
        round_trip=_read(folder / ROUND_TRIP) if (folder / ROUND_TRIP).exists() else None,
    )
    return Lineage(stand_in=_is_stand_in(base), adapter=adapter)


def _adapter_of(path: Path, adapter: Path | None) -> Path | None:
    """Find the adapter of a model; a merged copy lies inside the directory of its adapter."""
    places = [adapter] if adapter else [path, path.parent]
    found = next((place for place in places if (place / MANIFEST).is_file()), None)
    return found or adapter


def _is_stand_in(path: Path) -> bool:
    """Look for the tag in the YAML header of the model's card."""
    card = path / "README.md"
    if not card.is_file():
        return False
    parts = card.read_text(encoding="utf-8").split("---\n")
    header = yaml.safe_load(parts[1]) if len(parts) > 2 else None
    return isinstance(header, dict) and STAND_IN in (header.get("tags") or ())


def _read(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}; is the adapter finished?") from None
    except ValueError as error:
        raise UsageError(f"{file}: not JSON: {error}") from None
    if not isinstance(data, dict):
        raise UsageError(f"{file}: expected an object, found {data!r:.80}")
    return data
