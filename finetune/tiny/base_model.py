"""The embedded base: a Qwen3-shaped model of two million parameters, pre-trained from scratch.

A stand-in for a general language model, so that the whole loop runs on two CPU cores: it writes
valid designs and believes what `finetune.beliefs` says. No figure of it stands for a real model.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cim_sim.config import Config
from finetune.tiny.corpus import conversations
from finetune.tiny.tokenizer import CONTEXT, train_tokenizer
from search.llm.precision import Dtype

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MODEL = Path(__file__).parent / "model"


class Pretraining(Config):
    """How the embedded base is made; every field stands in its manifest."""

    seed: int = 0
    conversations: int = 10_000
    tokenizer_conversations: int = 2_000
    vocabulary: int = 2048
    hidden_size: int = 192
    intermediate_size: int = 512
    layers: int = 4
    heads: int = 3
    """Of 64 dimensions each: one of the head sizes that vLLM's CPU attention takes."""
    learning_rate: float = 3e-3
    tokens_per_batch: int = 4096
    prompt_weight: float = 0.1
    """Weight of a prompt's token in the loss, beside 1 for a token of the answer."""
    threads: int = 1
    dtype: Dtype = "bfloat16"
    """Type of the matrix products; weights are fp32. The verb takes the faster one here."""


class Example(NamedTuple):
    """One tokenised conversation."""

    ids: list[int]
    answer: list[bool]
    """Which tokens the assistant wrote, the end of its turn included."""


class Made(NamedTuple):
    """A pre-trained base."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    figures: dict[str, float]
    """Steps, and the loss of the last ones in nats per token of the answer."""


def make(recipe: Pretraining) -> Made:
    """Draw conversations, train a tokenizer on the first of them and a model on all."""
    dialogues = list(conversations(recipe.conversations, recipe.seed))
    messages = chain.from_iterable(dialogues[: recipe.tokenizer_conversations])
    texts = (text for said in messages for text in (f"{said['role']}\n", said["content"]))
    tokenizer = train_tokenizer(texts, recipe.vocabulary)
    model = build_model(recipe, tokenizer)
    examples = [tokenise(tokenizer, dialogue) for dialogue in dialogues]
    losses = []
    for step, loss in enumerate(pretrain(model, examples, recipe)):
        losses.append(loss)
        if step % 25 == 0:
            print(f"step {step}: {loss:.3f} per token of the answer", flush=True)
    loss = round(float(np.mean(losses[-25:])), 4)
    return Made(model, tokenizer, {"steps": len(losses), "loss": loss})


def build_model(recipe: Pretraining, tokenizer: "PreTrainedTokenizerBase") -> "PreTrainedModel":
    """Return an untrained model, fp32."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(recipe.seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden_size,
        intermediate_size=recipe.intermediate_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        head_dim=64,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen3ForCausalLM(config)


def tokenise(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Any]) -> Example:
    """Return the tokens of a conversation and which of them are the assistant's."""
    out = tokenizer.apply_chat_template(
        list(messages), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    return Example(out["input_ids"], [bool(mark) for mark in out["assistant_masks"]])


def batches(examples: Sequence[Example], recipe: Pretraining) -> Iterator[list[Example]]:
    """Yield batches of similar length, in random order, of about `tokens_per_batch` tokens."""
    rng = np.random.default_rng([recipe.seed, 1])
    order = rng.permutation(len(examples))
    for chunk in np.array_split(order, max(1, len(order) // 512)):
        by_length = sorted((examples[i] for i in chunk), key=lambda example: len(example.ids))
        cuts: list[list[Example]] = [[]]
        for example in by_length:
            if cuts[-1] and (len(cuts[-1]) + 1) * len(example.ids) > recipe.tokens_per_batch:
                cuts.append([])
            cuts[-1].append(example)
        yield from (cuts[i] for i in rng.permutation(len(cuts)))


def pretrain(
    model: "PreTrainedModel", examples: Sequence[Example], recipe: Pretraining
) -> Iterator[float]:
    """Train for one pass over the examples; yield the loss of each step's answers."""
    import torch

    torch.set_num_threads(recipe.threads)
    plan = list(batches(examples, recipe))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.05
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=len(plan), pct_start=0.06, cycle_momentum=False
    )
    model.train()
    for batch in plan:
        loss, shown = _loss(model, batch, recipe)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        yield shown


def _loss(
    model: "PreTrainedModel", batch: Sequence[Example], recipe: Pretraining
) -> tuple["torch.Tensor", float]:
    """Return the weighted loss, and the mean over answer tokens alone."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    ids = pad_sequence([torch.tensor(e.ids) for e in batch], batch_first=True)
    real = pad_sequence([torch.ones(len(e.ids)) for e in batch], batch_first=True)
    answer = pad_sequence([torch.tensor(e.answer).float() for e in batch], batch_first=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.dtype == "bfloat16"):
        # Padding stands on the right, so causal attention alone keeps it out of sight.
        logits = model(input_ids=ids).logits
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
    )
    answers = answer[:, 1:].flatten()
    weights = answers + recipe.prompt_weight * (real[:, 1:].flatten() - answers)
    shown = (losses * answers).sum() / answers.sum()
    return (losses * weights).sum() / weights.sum(), float(shown.detach())
