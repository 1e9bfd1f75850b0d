"""Blocks after a beginning that they share: each is computed as if it stood there alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from finetune import shared_prefix

VOCABULARY = 50
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
}


def model(attention):
    torch.manual_seed(0)
    shared_prefix.register()
    return LlamaForCausalLM._from_config(LlamaConfig(**SHAPE, attn_implementation=attention))


@pytest.fixture(scope="module")
def plain():
    return model("sdpa")


@pytest.fixture(scope="module")
def sharing():
    return model(shared_prefix.NAME)


def together(sharing, beginning, blocks):
    """Return the logits of the blocks, [blocks, length, vocabulary], from one sequence."""
    start, length = len(beginning), len(blocks[0])
    positions = [*range(start), *list(range(start, start + length)) * len(blocks)]
    ids = [*beginning, *(token for block in blocks for token in block)]
    found = sharing(
        torch.tensor([ids]),
        position_ids=torch.tensor([positions]),
        beginning=start,
        blocks=len(blocks),
    )
    return found.logits[0, start:].reshape(len(blocks), length, VOCABULARY)


def alone(plain, beginning, block):
    return plain(torch.tensor([[*beginning, *block]])).logits[0, len(beginning) :]


def tokens(least, most):
    return st.lists(st.integers(0, VOCABULARY - 1), min_size=least, max_size=most)


@settings(max_examples=25, deadline=None)
@given(
    beginning=tokens(1, 9),
    blocks=st.integers(1, 6).flatmap(
        lambda length: st.lists(tokens(length, length), min_size=1, max_size=4)
    ),
)
def test_each_block_is_computed_as_if_it_stood_alone(plain, sharing, beginning, blocks):
    with torch.no_grad():
        found = together(sharing, beginning, blocks)
        for block, logits in zip(blocks, found, strict=True):
            torch.testing.assert_close(logits, alone(plain, beginning, block))


def test_gradients_are_the_sum_of_those_of_the_blocks_alone(plain, sharing):
    beginning, blocks = [3, 1, 4, 1], [[5, 9, 2], [6, 5, 3], [5, 8, 9]]
    together(sharing, beginning, blocks)[:, -1].logsumexp(-1).sum().backward()
    for block in blocks:
        alone(plain, beginning, block)[-1].logsumexp(-1).backward()
    for ours, theirs in zip(sharing.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
