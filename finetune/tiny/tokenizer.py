"""The embedded model's tokenizer: byte-level BPE that keeps a `[32,3],` pair in one piece.

Text between numbers and line ends is offered to the merges whole, so a sentence of the prompt
template becomes a few long tokens, while any other text still works byte by byte.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TURN_START, TURN_END, PADDING = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
CONTEXT = 2048
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")
"""ChatML with generation marks, so that the loss mask covers the answer and its end token."""

PIECES = (
    r"\[\d+, ?\d+\],?"  # a (channels, kernel) pair with its comma
    r"|(?<!\.)\d{1,4}\.?|\d{1,2}"  # a whole number; decimals by twos
    r"|[,\]}]*[^\d\[\n,\]}]+[,\]}]*"  # a run of anything else, up to the next comma
    r"|\n+|\[|[,\]}]+"
)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> "PreTrainedTokenizerBase":
    """Learn the merges from `texts`; loads back with AutoTokenizer and in vLLM alone."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PADDING, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=PADDING,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE.read_text(encoding="utf-8")
    return fast
