"""A model in this process: its likeliest answers, and how likely it finds given ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from search.llm.examples import CASES
from search.llm.prompt import Message, render

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Prompt = Sequence[Message]
MOST_TOKENS = 64
"""Of an answer."""


class Answer(NamedTuple):
    """A fixed prompt, its tokens, and those of what a model answers to it."""

    prompt: Prompt
    prompt_ids: list[int]
    answer_ids: list[int]


def greedy(model: "PreTrainedModel", prompt_ids: Sequence[int]) -> list[int]:
    """Return the tokens of the most likely answer, its end included; at most `MOST_TOKENS`."""
    import torch

    model.eval()
    ids = torch.tensor([list(prompt_ids)])
    how: dict[str, Any] = {"max_new_tokens": MOST_TOKENS, "do_sample": False}
    with torch.no_grad():
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **how)
    return [int(token) for token in out[0, ids.shape[1] :]]


def token_logprobs(
    model: "PreTrainedModel", prompt_ids: Sequence[int], answer_ids: Sequence[int]
) -> list[float]:
    """Return the natural log-probability of each answer token, at temperature 1."""
    import torch

    model.eval()
    ids = torch.tensor([[*prompt_ids, *answer_ids]])
    with torch.no_grad():
        logits = model(input_ids=ids, logits_to_keep=len(answer_ids) + 1).logits[0]
    chosen = torch.log_softmax(logits[:-1].float(), dim=-1)
    picked = chosen.gather(1, torch.tensor(list(answer_ids))[:, None])
    return [float(value) for value in picked[:, 0]]


def encode(
    tokenizer: "PreTrainedTokenizerBase", prompt: Prompt, answer: str
) -> tuple[list[int], list[int]]:
    """Return the token ids of a prompt and of its answer, with the end of the turn."""
    text = _prompt_text(tokenizer, prompt)
    prompt_ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    answer_ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    return list(prompt_ids), [*answer_ids, tokenizer.eos_token_id]


def _prompt_text(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt) -> Any:
    return tokenizer.apply_chat_template(list(prompt), tokenize=False, add_generation_prompt=True)


def fixed_prompts(renderer: str | None = None) -> list[Prompt]:
    """Return the prompts of every check: the examples over which the renderer's digest is taken.

    `renderer` is the digest that a model was taught with; None: that of single questions.
    """
    from search.llm.examples import DIALOGUES, renderer_digest

    cases = DIALOGUES if renderer == renderer_digest("dialogue") else CASES
    return [render(*case) for case in cases]


def fixed_answers(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", renderer: str | None = None
) -> list[Answer]:
    """Return a model's greedy answers to the fixed prompts of `renderer`."""
    answers = []
    for prompt in fixed_prompts(renderer):
        prompt_ids, _ = encode(tokenizer, prompt, "")
        answers.append(Answer(prompt, prompt_ids, greedy(model, prompt_ids)))
    return answers


def logprobs_of(model: "PreTrainedModel", answers: Sequence[Answer]) -> list[list[float]]:
    """Return the log-probability of each token of each answer."""
    return [token_logprobs(model, answer.prompt_ids, answer.answer_ids) for answer in answers]


def mean_difference(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> float:
    """Return the mean absolute difference over all tokens of all answers, in nats."""
    return float(np.abs(np.concatenate(left) - np.concatenate(right)).mean())
