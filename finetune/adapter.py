"""What an adapter's directory holds beside PEFT's files, and what it must be served on."""

import warnings
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from cim_sim.cards import render
from cim_sim.config import UsageError, digest, read_yaml
from cim_sim.files import write_whole
from search.llm.examples import renderer_digest
from search.llm.model import directory_digest
from search.record.adapter import MANIFEST, AdapterManifest, Stage, read_manifest

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CARD = "README.md"
WEIGHTS = "adapter_model.safetensors"
PEFT_CONFIG = "adapter_config.json"
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


def put_on(model: "PreTrainedModel", adapter: Path, *, trainable: bool = False) -> "PeftModel":
    """Return a model with an adapter on top.

    PEFT warns of weights that belong nowhere, or are not there, and goes on with a model that is
    the base in part; here they are faults.

    Raises:
        UsageError: the files are damaged, or are no LoRA adapter of this model.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config, file = read_yaml(adapter / PEFT_CONFIG), adapter / WEIGHTS
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise UsageError(f"{adapter / PEFT_CONFIG}: is no configuration of a LoRA adapter")
    if not file.is_file():
        raise UsageError(f"{file} is missing; only safetensors are read")
    try:
        weights = load_file(file)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found missing adapter keys")  # told below
            tuned = PeftModel.from_pretrained(model, adapter, is_trainable=trainable)
    except (SafetensorError, OSError, ValueError, TypeError, LookupError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        fault = f"{type(error).__name__}: {reason:.200}"
        raise UsageError(f"{adapter}: PEFT cannot load the adapter: {fault}") from None
    wanted = get_peft_model_state_dict(tuned).keys()
    faults = [f"{name} is missing" for name in wanted - weights.keys()]
    faults += [f"{name} is no weight of it" for name in weights.keys() - wanted]
    faults += [f"{name} is not finite" for name, one in weights.items() if not one.isfinite().all()]
    if faults:
        shown = "; ".join(sorted(faults)[:3])
        raise UsageError(f"{file}: {len(faults)} faults: {shown}; get the adapter anew")
    return tuned


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
