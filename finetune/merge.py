"""Base and adapter in one model, for servers on which adapters are slow.

vLLM applies an unmerged adapter in kernels of its own, which are made for GPUs; on a processor they
are slow, and a merged model needs none.
"""

from pathlib import Path
from shutil import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from cim_sim.config import UsageError
from finetune.adapter import require_base
from finetune.base import ensure
from finetune.inference import fixed_answers, logprobs_of, mean_difference
from search.record.adapter import MANIFEST, MERGED, TRAINED_ON, read_manifest

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


def merge_adapter(adapter: Path) -> float:
    """Merge, and return the mean absolute difference of answer log-probabilities, in nats.

    W + (alpha / r) B A is summed in fp32 and then rounded to bf16, the type of the base's file.
    The rounding moves every weight a little, so that what it does to the answers is measured.
    """
    import torch

    tuned = load_tuned(adapter)
    answers = fixed_answers(tuned.model, tuned.tokenizer, tuned.renderer)
    unmerged = logprobs_of(tuned.model, answers)
    whole: Any = tuned.model.merge_and_unload().to(torch.bfloat16)
    whole.save_pretrained(adapter / MERGED)
    tuned.tokenizer.save_pretrained(adapter / MERGED)
    for record in (MANIFEST, TRAINED_ON):
        if (adapter / record).is_file():
            copy(adapter / record, adapter / MERGED / record)
    return mean_difference(unmerged, logprobs_of(whole, answers))


def load_tuned(adapter: Path) -> Tuned:
    """Load an adapter on the base that its manifest names.

    Raises:
        UsageError: the adapter is unfinished, or its base is another or quantised.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    named = read_manifest(adapter)
    base = ensure(named.base, named.base_revision).resolve()
    require_base(adapter, base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if getattr(model.config, "quantization_config", None):
        raise UsageError(
            f"{base} is quantised: merge only into an unquantised base, or serve the adapter"
        )
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    return Tuned(PeftModel.from_pretrained(model, adapter), tokenizer, base, named.renderer)


def load_model(folder: Path) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase"]:
    """Load a model, or an adapter on its base, in fp32."""
    if (folder / "adapter_config.json").is_file():
        tuned = load_tuned(folder)
        return tuned.model, tuned.tokenizer
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(folder)
