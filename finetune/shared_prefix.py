"""Attention of many continuations to one beginning that they share, and to nothing of each other.

A sequence is the beginning and then blocks of equal length, each at the positions that follow the
beginning: each block sees what it would see if it stood there alone. So a scenario of 300 tokens is
computed once for all designs that are judged in it (as in cascade attention, Juravsky et al. 2024,
"Hydragen", arXiv 2402.05099, here also for the gradient).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "shared_prefix"
"""What a model's `attn_implementation` calls it."""


def register() -> None:
    """Make transformers know it, for models whose attention is causal over all that is before."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attention)


def attention(  # noqa: PLR0917 (transformers passes them in this order)
    module: Any,
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: object,
    scaling: float,
    beginning: int,
    blocks: int,
    **_: object,
) -> "tuple[torch.Tensor, None]":
    """Return what each token gathers, [1, tokens, heads, width], as transformers asks for it.

    Args:
        module: the layer, which is not needed.
        query: [1, heads, tokens, width].
        key: [1, key heads, tokens, width], of which several query heads may share one.
        value: likewise.
        attention_mask: not needed, since who sees whom follows from the rest.
        scaling: factor of the products of queries and keys.
        beginning: tokens of the beginning.
        blocks: number of blocks after it.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    shared = query.shape[1] // key.shape[1]
    q, k, v = (
        query[0],
        key[0].repeat_interleave(shared, 0),
        value[0].repeat_interleave(shared, 0),
    )
    first, rest = slice(None, beginning), slice(beginning, None)
    told = scaled_dot_product_attention(
        q[None, :, first], k[None, :, first], v[None, :, first], is_causal=True, scale=scaling
    )[0]
    asking = q[:, rest] * scaling
    own = _own(asking, k[:, rest], blocks)
    weights = _weights(asking @ k[:, first].transpose(1, 2), own)
    gathered = weights[..., first].reshape(*asking.shape[:2], beginning) @ v[:, first]
    near = weights[..., rest] @ _split(v[:, rest], blocks)
    found = torch.cat([told, gathered + near.reshape(asking.shape)], dim=1)
    return found.transpose(0, 1)[None].contiguous(), None


def _own(query: "torch.Tensor", key: "torch.Tensor", blocks: int) -> "torch.Tensor":
    """Return the scores within each block, [heads * blocks, length, length], later ones -inf."""
    import torch

    scores = _split(query, blocks) @ _split(key, blocks).transpose(1, 2)
    later = torch.ones_like(scores[0], dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -torch.inf)


def _weights(far: "torch.Tensor", own: "torch.Tensor") -> "torch.Tensor":
    """Return weights of beginning and block together, [heads * blocks, length, both lengths]."""
    import torch

    both = torch.cat([far.reshape(*own.shape[:2], -1), own], dim=-1)
    return both.softmax(-1, dtype=torch.float32).to(far.dtype)


def _split(rows: "torch.Tensor", blocks: int) -> "torch.Tensor":
    """[heads, blocks * length, width] to [heads * blocks, length, width]."""
    heads, tokens, width = rows.shape
    return rows.reshape(heads * blocks, tokens // blocks, width)
