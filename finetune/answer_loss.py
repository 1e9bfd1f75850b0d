"""Loss and logits at answer tokens only, where TRL would score every token.

With a vocabulary of 49,152 the output layer of SmolLM2 costs a fifth of a forward pass, and about
one token in four is taught. TRL leaves the others out on a GPU; on a CPU it computes them all and
multiplies by zero.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from trl import SFTTrainer

MASKED = -100
"""Label of a token that is not trained on."""


@cache
def trainer_class() -> "type[SFTTrainer]":
    """Return TRL's trainer with this loss; made on demand, since TRL takes seconds to import."""
    from trl import SFTTrainer

    class AnswerTrainer(SFTTrainer):  # type: ignore[misc]
        """TRL's trainer, its loss computed at answer tokens alone by a single process on a CPU."""

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            alone = self.accelerator.num_processes == 1 and self.args.device.type == "cpu"
            if not alone or return_outputs or self.args.loss_type != "nll":
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            total, count = answer_loss(self.accelerator.unwrap_model(model), inputs)
            return total / (count if num_items_in_batch is None else num_items_in_batch)

    return AnswerTrainer


def answer_loss(model: Any, inputs: dict[str, Any]) -> "tuple[torch.Tensor, int]":
    """Return the sum of the losses of all answer tokens, in nats, and how many there are.

    Args:
        model: a causal language model, with or without an adapter of PEFT.
        inputs: `input_ids`, `attention_mask` and `labels`, each [batch, tokens].
    """
    from torch.nn.functional import cross_entropy

    whole = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = whole.base_model(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
    ).last_hidden_state
    labels = inputs["labels"][:, 1:]
    taught = labels != MASKED
    logits = whole.get_output_embeddings()(hidden[:, :-1][taught])
    return cross_entropy(logits.float(), labels[taught], reduction="sum"), int(taught.sum())
