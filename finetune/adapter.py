"""What an adapter's directory holds beside PEFT's files, and what it must be served on."""

from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from cim_sim.cards import render
from cim_sim.config import UsageError, digest
from cim_sim.files import write_whole
from search.llm.examples import renderer_digest
from search.llm.model import directory_digest
from search.record.adapter import MANIFEST, AdapterManifest, Stage, read_manifest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CARD = "README.md"
WEIGHTS = "adapter_model.safetensors"
PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")


def require_base(adapter: Path, base: Path) -> AdapterManifest:
    """Read an adapter's manifest and check that `base` is what it was trained on.

    Raises:
        UsageError: no or another manifest, another base, or a renderer that has changed since.
    """
    manifest = read_manifest(adapter)
    present = directory_digest(base)
    if present != manifest.base_digest:
        mend = "train again: python -m finetune pipeline"
        if manifest.released:
            mend = f"remove {base}, so that it is made anew, or {mend}"
        raise UsageError(
            f"{adapter}: trained on a base with digest {manifest.base_digest}, but {base} has "
            f"{present}; {mend}"
        )
    today = (renderer_digest(), renderer_digest("dialogue"))
    if manifest.renderer not in today:
        raise UsageError(
            f"{adapter}: taught with prompts of renderer {manifest.renderer}, but the search now "
            f"writes those of {' and '.join(today)}; train again: python -m finetune pipeline"
        )
    return manifest


def write_manifest(adapter: Path, manifest: AdapterManifest) -> None:
    """Write card and manifest, the manifest last."""
    card = render(Path(__file__).with_name("adapter_card.md.jinja"), manifest=manifest)
    write_whole(adapter / CARD, card)
    write_whole(adapter / MANIFEST, manifest.model_dump_json(indent=1) + "\n")


def trainings(adapter: Path) -> tuple[Stage, ...]:
    """Return the trainings that made an adapter, first to last.

    An adapter from before these were recorded names the one that it went on from, which says so
    itself if it is still there.

    Raises:
        UsageError: no or another manifest.
    """
    manifest = read_manifest(adapter)
    earlier, start = manifest.earlier, manifest.went_on_from
    if not earlier and start and (Path(start) / MANIFEST).is_file():
        earlier = trainings(Path(start))
    last = Stage(
        path=str(adapter),
        steps=manifest.steps,
        seconds=manifest.seconds,
        whole_time=manifest.whole_time,
    )
    return (*earlier, last)


def template_digest(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Digest of the chat template that a tokenizer carries."""
    return digest(tokenizer.chat_template)


def weights_digest(adapter: Path) -> str:
    """Digest of the file that holds an adapter's weights."""
    return sha256((adapter / WEIGHTS).read_bytes()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Versions of the packages that decide what a training gives."""
    return {name: version(name) for name in PACKAGES}
