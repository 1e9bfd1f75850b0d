"""The accuracies that a dialogue says of its poor designs are taught as well.

A model that says what accuracy it expects of a design ranks its own answers by that. Taught at the
good answers alone it had seen no accuracy of others, and the results before a question told it less
than their mean would have. Of a poor design the digits of its accuracy carry loss, not the design:
more lessons in the same sequences.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cim_sim.config import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from datasets import Dataset

SAID = " accuracy 0."
"""What stands before the digits, as `search.llm.dialogue.expected` writes it."""
DIGITS = re.compile("[0-9][0-9]")


def with_values(rows: "Dataset", tokenizer: "PreTrainedTokenizerBase") -> "Dataset":
    """Return tokenised rows in which the digits of every accuracy said by a turn carry loss.

    Args:
        rows: with the columns `input_ids` and `labels`.
        tokenizer: theirs.

    Raises:
        UsageError: in what the tokenizer makes of a chat no accuracy would be found.
    """
    said = tokenizer(SAID, add_special_tokens=False)["input_ids"]
    chat = [
        {"role": "user", "content": "Propose."},
        {"role": "assistant", "content": f"[]{SAID}53"},
    ]
    ids = tokenizer.apply_chat_template(chat, return_dict=False)
    if tokenizer.decode([ids[place] for place in value_places(ids, said, tokenizer)]) != "53":
        raise UsageError(
            f"{tokenizer.name_or_path}: its tokens do not set the digits of {SAID + '53'!r} apart "
            "up to the end of a turn, so accuracies cannot be taught; make the dataset with "
            "value: false under turns"
        )

    def taught(row: dict[str, Any]) -> dict[str, list[int]]:
        labels = list(row["labels"])
        for place in value_places(row["input_ids"], said, tokenizer):
            labels[place] = row["input_ids"][place]
        return {"labels": labels}

    return rows.map(taught, desc="Teaching accuracies")


def value_places(
    ids: Sequence[int], said: Sequence[int], tokenizer: "PreTrainedTokenizerBase"
) -> Iterator[int]:
    """Yield the places of two digits between `said` and the end of a turn.

    A result tells three digits, and a limit ends in the middle of its turn, so neither is meant.
    """
    begun = None
    for place, token in enumerate(ids):
        if list(ids[place - len(said) : place]) == list(said):
            begun = place
        if token == tokenizer.eos_token_id and begun is not None:
            if DIGITS.fullmatch(tokenizer.decode(ids[begun:place])):
                yield from range(begun, place)
            begun = None
