"""What is looked at before hours of training: the loss mask, truncation, and memory."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from cim_sim.config import UsageError
from finetune.answer_loss import MASKED

if TYPE_CHECKING:
    from transformers import Trainer

FEWEST_ANSWER_TOKENS = 2


class Check(NamedTuple):
    """Counts of the prepared training set."""

    examples: int
    trainable_parameters: int
    parameters: int
    longest: int | None = None
    """Tokens of the longest example; this and what follows are of imitation alone."""
    supervised_least: int | None = None
    supervised_mean: float | None = None
    """Tokens per example that are trained on."""
    truncated: int | None = None
    """Examples dropped because their answer did not fit into `max_length`."""
    memory_gb: float | None = None
    """About what training takes beside the program itself."""

    @property
    def known(self) -> dict[str, float]:
        """What the method counts, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


def inspect(trainer: "Trainer", given: int) -> Check:
    """Count supervised tokens in the very rows that TRL trains on, of `given` examples.

    Raises:
        UsageError: an example without a supervised token, wholly supervised, or whose answer does
            not end in the end-of-turn token: training would look fine and teach nothing.
    """
    rows = trainer.train_dataset
    # A wrong template or a cut answer raises nothing: the loss falls all the same, over the wrong
    # tokens. So the labels themselves are read, in every row.
    end = trainer.processing_class.eos_token_id
    supervised = []
    for index, (ids, labels) in enumerate(zip(rows["input_ids"], rows["labels"], strict=True)):
        learnt = [token for token in labels if token != MASKED]
        if len(learnt) < FEWEST_ANSWER_TOKENS or len(learnt) == len(ids):
            raise UsageError(
                f"training example {index}: {len(learnt)} of {len(ids)} tokens are supervised, "
                "expected those of the answer: check max_length and completion_only_loss"
            )
        # Some templates put a newline behind the end of a turn, hence the last two.
        if end not in learnt[-2:]:
            raise UsageError(
                f"training example {index}: its answer does not end in the end-of-turn token "
                f"{trainer.processing_class.eos_token!r}, so the model would never learn to stop: "
                "check chat_template_path, eos_token and max_length"
            )
        supervised.append(len(learnt))
    longest = max(map(len, rows["input_ids"]))
    return counted(trainer)._replace(
        longest=longest,
        supervised_least=min(supervised),
        supervised_mean=round(sum(supervised) / len(supervised), 2),
        truncated=given - len(rows),
        memory_gb=round(memory_gb(trainer, longest), 2),
    )


def counted(trainer: "Trainer") -> Check:
    """Count what every method has: examples and parameters."""
    parameters = list(trainer.model.parameters())
    return Check(
        examples=len(trainer.train_dataset),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        parameters=sum(p.numel() for p in parameters),
    )


def memory_gb(trainer: "Trainer", tokens: int) -> float:
    """Estimate memory: weights, AdamW states of what is trained, activations, logits.

    Activations after Korthikanti et al. (arXiv 2205.05198, equation 1) without attention scores:
    34 bytes for each token, layer and hidden unit, or 2 with gradient checkpointing.
    """
    model, args = trainer.model, trainer.args
    config = model.config.get_text_config()
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    # Gradient, mean and variance of each trained parameter: three numbers of 4 bytes.
    states = 12 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    batch_tokens = tokens * args.per_device_train_batch_size
    per_unit = 2 if args.gradient_checkpointing else 34
    activations = per_unit * batch_tokens * config.hidden_size * config.num_hidden_layers
    # The loss needs logits and their gradient for the whole vocabulary, in fp32.
    logits = 8 * batch_tokens * config.vocab_size
    return float(weights + states + activations + logits) / 1e9


def describe(trainer: "Trainer", colour: bool = False) -> str:
    """Return one example, of imitation with what is trained on between marks, or in green."""
    row = trainer.train_dataset[0]
    return _masked(trainer, row, colour) if "labels" in row else _columns(row)


def _masked(trainer: "Trainer", row: Mapping[str, Any], colour: bool) -> str:
    before, after = ("\033[32m", "\033[0m") if colour else (">>>trained on>>>", "<<<")
    tokenizer = trainer.processing_class
    pairs = zip(row["input_ids"], row["labels"], strict=True)
    runs = groupby(pairs, key=lambda pair: pair[1] != MASKED)
    texts = [(taught, tokenizer.decode([token for token, _ in run])) for taught, run in runs]
    return "".join(f"{before}{text}{after}" if taught else text for taught, text in texts)


def _columns(row: Mapping[str, Any]) -> str:
    """Show an example of pairs or of rewarded questions, a column a line, tokens left out."""
    told = {name: value for name, value in row.items() if not name.endswith("_ids")}
    return "\n".join(f"{name}: {value}" for name, value in told.items())


def tracker_faults(report_to: str | Sequence[str] | None) -> list[str]:
    """Name each tracker of a recipe that transformers does not know or that is not installed."""
    from transformers.integrations.integration_utils import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )

    named = [report_to] if isinstance(report_to, str) else report_to or []
    wanted = [name for name in named if name not in ("none", "all")]
    known, installed = list(INTEGRATION_TO_CALLBACK), get_available_reporting_integrations()
    strange = [name for name in wanted if name not in known]
    absent = [name for name in wanted if name in known and name not in installed]
    return [
        *(f"report_to: {name} is not known; choose from {', '.join(known)}" for name in strange),
        *(f"report_to: {name} is not installed; type: pip install {name}" for name in absent),
    ]
