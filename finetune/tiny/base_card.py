"""What is measured of a new embedded base, and the card and manifest that say so."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cim_sim import cards
from cim_sim.config import Config, load
from cim_sim.files import write_whole
from cim_sim.space import Design, Space
from finetune.inference import sample
from finetune.tiny.corpus import SPACES, conversations
from search.llm.examples import renderer_digest
from search.llm.prompt import Message
from search.llm.reply import ReplyError, parse_reply

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MANIFEST = "manifest.json"
UNSEEN = 1
"""Seed of the conversations on which a base is measured; it is trained on those of seed 0."""
ASKED = 256
TEMPERATURE = 0.7


class BaseManifest(Config):
    """How an embedded base was made."""

    weights: str
    """First 16 hexadecimal digits of the SHA-256 of model.safetensors."""
    renderer: str
    """Digest of the prompt renderer that it was pre-trained with."""
    recipe: dict[str, Any]
    figures: dict[str, float]
    seconds: float


def weights_digest(folder: Path) -> str:
    """Return the digest of the weights in a model directory."""
    return sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:16]


def measure(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> dict[str, float]:
    """Ask for designs in scenarios it has not seen; return shares of valid and growing answers."""
    dialogues = [d for d in conversations(2 * ASKED, UNSEEN) if len(d) == 3][:ASKED]
    spaces = [load(path, Space) for path in SPACES]
    answers = sample(model, tokenizer, [d[:2] for d in dialogues], temperature=TEMPERATURE, seed=0)
    designs = [
        _design(text, _space_of(dialogue, spaces))
        for text, dialogue in zip(answers, dialogues, strict=True)
    ]
    valid = [design for design in designs if design is not None]
    growing = [a.channels <= b.channels for d in valid for a, b in pairwise(d.layers)]
    return {
        "valid": len(valid) / len(designs),
        "distinct": len(set(valid)) / max(1, len(valid)),
        "growing": sum(growing) / max(1, len(growing)),
    }


def write(
    out: Path,
    *,
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    recipe: Config,
    figures: dict[str, float],
    seconds: float,
) -> None:
    """Write weights (bf16), tokenizer, card and manifest."""
    import torch

    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    manifest = BaseManifest(
        weights=weights_digest(out),
        renderer=renderer_digest(),
        recipe=recipe.model_dump(mode="json"),
        figures=figures,
        seconds=round(seconds, 1),
    )
    card = cards.render(
        Path(__file__).with_name("base_card.md.jinja"),
        manifest=manifest,
        parameters=model.num_parameters(),
        asked=ASKED,
        temperature=TEMPERATURE,
    )
    write_whole(out / "README.md", card)
    write_whole(out / MANIFEST, manifest.model_dump_json(indent=1) + "\n")


def _space_of(dialogue: Sequence[Message], spaces: Sequence[Space]) -> Space:
    """Return the space whose choices the question lists and the taught answer fits."""
    _, question, *_, taught = (message["content"] for message in dialogue)
    listed = [space for space in spaces if ",".join(map(str, space.channels)) in question]
    return next(space for space in listed if _design(taught, space) is not None)


def _design(text: str, space: Space) -> Design | None:
    try:
        return parse_reply(text, space)
    except ReplyError:
        return None
