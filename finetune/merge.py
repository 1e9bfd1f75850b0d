"""Base and adapter in one model, for servers on which adapters are slow."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cim_sim import cli
from cim_sim.config import UsageError
from finetune.adapter import MERGED, require_base
from finetune.inference import encode, fixed_prompts, greedy, token_logprobs

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


def merge(adapter: Path = Path("runs/finetune/local")) -> int:
    """Write `merged/` into an adapter directory, and check that it answers as the adapter does.

    Args:
        adapter: directory of the adapter.
    """
    difference = merge_adapter(adapter)
    cli.emit(merged=str(adapter / MERGED), mean_logprob_difference=round(difference, 5))
    return 0 if difference <= WORST_MEAN else cli.EXIT_FAILED


def merge_adapter(adapter: Path) -> float:
    """Merge, and return the mean absolute difference of answer log-probabilities, in nats."""
    import torch

    tuned = load_tuned(adapter)
    answers = []
    for prompt in fixed_prompts(tuned.renderer):
        prompt_ids, _ = encode(tuned.tokenizer, prompt, "")
        answer_ids = greedy(tuned.model, tuned.tokenizer, prompt_ids)
        answers.append(
            (prompt_ids, answer_ids, token_logprobs(tuned.model, prompt_ids, answer_ids))
        )
    whole: Any = tuned.model.merge_and_unload().to(torch.bfloat16)
    whole.save_pretrained(adapter / MERGED)
    tuned.tokenizer.save_pretrained(adapter / MERGED)
    differences = [
        abs(one - other)
        for prompt_ids, answer_ids, before in answers
        for one, other in zip(before, token_logprobs(whole, prompt_ids, answer_ids), strict=True)
    ]
    return sum(differences) / len(differences)


def load_tuned(adapter: Path) -> Tuned:
    """Load an adapter on the base that its manifest names.

    Raises:
        UsageError: the adapter is unfinished, or its base is another or quantised.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from finetune.adapter import read_manifest
    from finetune.train import resolve_base

    named = read_manifest(adapter)
    base = resolve_base(named.base, named.base_revision)
    require_base(adapter, base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if getattr(model.config, "quantization_config", None):
        raise UsageError(
            f"{base} is quantised: merge only into an unquantised base, or serve the adapter"
        )
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    return Tuned(PeftModel.from_pretrained(model, adapter), tokenizer, base, named.renderer)
