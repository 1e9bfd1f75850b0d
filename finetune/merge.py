"""Base and adapter in one model, for servers on which adapters are slow.

vLLM applies an unmerged adapter in kernels of its own, which are made for GPUs; on a processor they
are slow, and a merged model needs none.
"""

from pathlib import Path
from shutil import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from cim_sim.config import Stopped, UsageError
from cim_sim.files import whole_folder
from finetune.adapter import CARD, WEIGHTS, put_on, require_base, weights_digest
from finetune.base import ensure
from finetune.dequantise import save_tokenizer
from finetune.inference import fixed_answers, logprobs_of, mean_difference
from search.llm.model import directory_digest
from search.record.adapter import (
    MANIFEST,
    MERGED,
    ROUND_TRIP,
    TRAINED_ON,
    AdapterManifest,
    read_adapter,
    read_manifest,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

WORST_MEAN = 0.1
"""Largest mean difference, in nats per answer token, that the rounding to bf16 may make."""


class Tuned(NamedTuple):
    """A base with its adapter on top, fp32, unmerged."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    base: Path
    renderer: str
    """Digest of the prompts that the adapter was taught with."""


def merge_adapter(adapter: Path, out: Path | None = None) -> float:
    """Merge, and return the mean absolute difference of answer log-probabilities, in nats.

    The rounding to bf16, the type of the base's file, moves every weight a little, so that what it
    does to the answers is measured.

    Args:
        adapter: directory of the adapter.
        out: directory of the merged model, which is replaced; None: `merged/` in the adapter's.

    Raises:
        UsageError: as `load_tuned`, or `out` holds something else than a merged model.
        Stopped: they differ too much; nothing is written.
    """
    import torch

    if out is not None:
        require_mergeable(out)
    tuned = load_tuned(adapter)
    answers = fixed_answers(tuned.model, tuned.tokenizer, tuned.renderer)
    unmerged = logprobs_of(tuned.model, answers)
    whole = _summed(tuned.model).float()  # the same numbers: bf16 is slow on many processors
    difference = mean_difference(unmerged, logprobs_of(whole, answers))
    if not difference <= WORST_MEAN:  # nor is NaN
        raise Stopped(f"{adapter}: merged and unmerged differ by {difference:.4f} nats a token")
    with whole_folder(out or adapter / MERGED) as part:
        whole.to(torch.bfloat16).save_pretrained(part)
        save_tokenizer(tuned.tokenizer, part)
        _carry_records(adapter, part)
    return difference


def require_mergeable(out: Path) -> None:
    """Raise UsageError where a merge would replace something else than a merge."""
    used = out.exists() and (not out.is_dir() or any(out.iterdir()))
    merged = (out / MANIFEST).is_file() and (out / "config.json").is_file()
    if used and not merged:
        raise UsageError(f"{out} holds something else than a merged model; give another --out")


def is_merged(adapter: Path, folder: Path) -> bool:
    """Whether a folder holds this very adapter, merged: it carries a copy of its manifest."""
    own, carried = adapter / MANIFEST, folder / MANIFEST
    return carried.is_file() and own.is_file() and carried.read_bytes() == own.read_bytes()


def _summed(model: "PreTrainedModel") -> Any:
    """Return W + (alpha / r) B A in bf16.

    Summed layer by layer in fp64, so that every machine rounds to the same bits: sums in fp32 hang
    on the order that its processor takes. So a round trip elsewhere is one of these weights.
    """
    import torch
    from peft.tuners.lora import LoraLayer

    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            layer.double()
            layer.merge()
            layer.to(torch.bfloat16)
    return model.unload().to(torch.bfloat16)


def _carry_records(adapter: Path, merged: Path) -> None:
    """Copy what is known of an adapter; its round trip only where these weights were served."""
    for record in (MANIFEST, TRAINED_ON, CARD):
        if (adapter / record).is_file():
            copy(adapter / record, merged / record)
    trip = read_adapter(adapter).round_trip
    if trip and trip.served == directory_digest(merged):
        copy(adapter / ROUND_TRIP, merged / ROUND_TRIP)


def load_tuned(adapter: Path) -> Tuned:
    """Load an adapter on the base that its manifest names.

    Raises:
        UsageError: the adapter is unfinished or damaged, or its base is another or quantised.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    named = read_manifest(adapter)
    _require_weights(adapter, named)
    base = ensure(named.base, named.base_revision).resolve()
    require_base(adapter, base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if getattr(model.config, "quantization_config", None):
        raise UsageError(
            f"{base} is quantised: merge only into an unquantised base, or serve the adapter"
        )
    # A released adapter leaves out a tokenizer that is its base's.
    own = (adapter / "tokenizer.json").is_file()
    tokenizer = AutoTokenizer.from_pretrained(adapter if own else base)
    return Tuned(put_on(model, adapter), tokenizer, base, named.renderer)


def _require_weights(adapter: Path, manifest: AdapterManifest) -> None:
    """Raise UsageError where a released adapter's weights are not those that were released."""
    if manifest.released and manifest.released.weights != weights_digest(adapter):
        raise UsageError(
            f"{adapter / WEIGHTS}: its digest is {weights_digest(adapter)}, but {MANIFEST} says "
            f"{manifest.released.weights}; the file is damaged: get the folder anew"
        )


def load_model(folder: Path) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase"]:
    """Load a model, or an adapter on its base, in fp32."""
    if (folder / "adapter_config.json").is_file():
        tuned = load_tuned(folder)
        return tuned.model, tuned.tokenizer
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(folder)
