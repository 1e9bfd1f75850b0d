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
        """TRL's trainer, its loss computed on a CPU at answer tokens alone."""

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            args = self.args
            as_trl = args.device.type != "cpu" or args.loss_type != "nll" or self.label_smoother
            if as_trl or return_outputs:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            head = self.accelerator.unwrap_model(model).get_output_embeddings()
            with self.accelerator.autocast():
                total, count = answer_loss(model, head, inputs)
            if num_items_in_batch is None:
                return total / count
            # Gradients are averaged over the processes, of all of which the count may be.
            counted = self.accelerator.num_processes if args.average_tokens_across_devices else 1
            return total * counted / num_items_in_batch

    return AnswerTrainer


def answer_loss(model: Any, head: Any, inputs: dict[str, Any]) -> "tuple[torch.Tensor, int]":
    """Return the sum of the losses of all answer tokens, in nats, and how many there are.

    Args:
        model: a causal language model, with or without an adapter and a wrapper for several
            processes; called as it is, so that the wrapper averages gradients.
        head: its output layer.
        inputs: `input_ids`, `attention_mask` and `labels`, each [batch, tokens].
    """
    from torch.nn.functional import cross_entropy

    asked = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    found = model(**asked, use_cache=False, output_hidden_states=True, logits_to_keep=1)
    labels = inputs["labels"][:, 1:]
    taught = labels != MASKED
    logits = head(found.hidden_states[-1][:, :-1][taught])
    return cross_entropy(logits.float(), labels[taught], reduction="sum"), int(taught.sum())
