"""What an adapter directory holds beside PEFT's files: manifest, template, card."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from cim_sim.config import Config, UsageError, digest
from search.llm.model import directory_digest
from search.llm.prompt import renderer_digest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MANIFEST = "adapter_manifest.json"
"""Written last: where it stands, the training is complete."""
MERGED = "merged"
PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")


class AdapterManifest(Config):
    """Where an adapter comes from and what it must be served with."""

    format: int = 1
    base: str
    """Path or hub id of the model it was trained on."""
    base_revision: str | None = None
    base_digest: str
    data: str
    data_digest: str
    trained_on: tuple[str, ...]
    """Digests of the scenarios in the training data; `compare` marks them."""
    examples: int
    renderer: str
    """Digest of the prompt renderer that wrote the data."""
    template: str
    """Digest of the chat template."""
    end_token: str
    seed: int
    steps: int
    losses: dict[str, float] = Field(default_factory=dict)
    """Answer loss on held-out scenarios, before and after, and of the last training steps."""
    seconds: float
    recipe: dict[str, Any]
    versions: dict[str, str]


def require_base(adapter: Path, base: Path) -> AdapterManifest:
    """Read an adapter's manifest and check that `base` is what it was trained on.

    Raises:
        UsageError: no or another manifest, another base, or a renderer that has changed since.
    """
    manifest = read_manifest(adapter)
    found = directory_digest(base)
    if found != manifest.base_digest:
        raise UsageError(
            f"{adapter}: trained on a base with digest {manifest.base_digest}, but {base} has "
            f"{found}; train again: python -m finetune local"
        )
    today = (renderer_digest(), renderer_digest("dialogue"))
    if manifest.renderer not in today:
        raise UsageError(
            f"{adapter}: taught with prompts of renderer {manifest.renderer}, but the search now "
            f"writes those of {' and '.join(today)}; train again: python -m finetune local"
        )
    return manifest


def read_manifest(adapter: Path) -> AdapterManifest:
    """Read `adapter_manifest.json`.

    Raises:
        UsageError: it is absent (training has not finished) or not readable.
    """
    file = adapter / MANIFEST
    try:
        return AdapterManifest.model_validate_json(file.read_text(encoding="utf-8"))
    except OSError:
        raise UsageError(
            f"{file} is missing: no finished adapter; make one: python -m finetune local"
        ) from None
    except ValidationError as error:
        raise UsageError(f"{file}: not a manifest: {error.errors()[0]['msg']}") from None


def write_manifest(adapter: Path, manifest: AdapterManifest) -> None:
    """Write card and manifest, the manifest last."""
    (adapter / "README.md").write_text(_card(manifest), encoding="utf-8")
    (adapter / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def template_digest(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Digest of the chat template that a tokenizer carries."""
    return digest(tokenizer.chat_template)


def versions() -> dict[str, str]:
    """Versions of the packages that decide what a training gives."""
    return {name: version(name) for name in PACKAGES}


def _card(manifest: AdapterManifest) -> str:
    from jinja2 import Environment

    template = Path(__file__).with_name("adapter_card.md.jinja").read_text(encoding="utf-8")
    environment = Environment(keep_trailing_newline=True, autoescape=False)
    return environment.from_string(template).render(manifest=manifest)
