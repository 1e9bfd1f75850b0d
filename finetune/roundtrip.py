"""The gate before any comparison: what vLLM serves is what was trained.

Adapters that are accepted and applied to nothing are the commonest failure of the field
(vllm#55193, #34186). On fixed prompts, at the concurrency of a search, vLLM with the tuned model
must differ from vLLM with the base, and both must agree with transformers, where the tuned model
is the base with PEFT's adapter on top.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cim_sim.config import UsageError
from cim_sim.files import write_whole
from finetune.adapter import require_base
from finetune.inference import Answer, fixed_answers, logprobs_of, mean_difference
from finetune.merge import is_merged, load_tuned
from search.llm.endpoint import Endpoint
from search.llm.model import ModelConfig, directory_digest
from search.llm.server import serving, vllm_version, with_dtype
from search.record.adapter import MERGED, ROUND_TRIP, RoundTrip

if TYPE_CHECKING:
    from openai import OpenAI

AGREE_MEAN = 0.1
"""Largest mean difference between vLLM, often in bf16, and transformers in fp32, nats a token."""
DIFFER_LEAST = 5.0
"""The tuned model must differ from the base by this many times the disagreement of the stacks."""


class Served(NamedTuple):
    """What one server said."""

    logprobs: list[list[float]]
    """Of each answer's tokens."""
    prompt_ids: list[list[int]]
    """How the server's template tokenised each conversation."""
    texts: list[str]
    """Greedy answers of its own."""


def placed(model: ModelConfig, adapter: Path) -> ModelConfig:
    """Return the configuration with this adapter's directories for those written in it.

    Where its path holds this very adapter, merged elsewhere, it is kept.
    """
    if model.adapter is not None:
        return model.model_copy(update={"adapter": adapter})
    if model.path is not None and is_merged(adapter, model.path):
        return model
    return model.model_copy(update={"path": adapter / MERGED})


def record_places(adapter: Path, model: ModelConfig) -> list[Path]:
    """Return the folders that get the record; the last one is what is served."""
    folder = model.adapter or model.path or adapter
    return [adapter, folder] if folder.resolve().parent == adapter.resolve() else [folder]


def check(adapter: Path, model: ModelConfig, base: ModelConfig) -> RoundTrip:
    """Serve both models in turn, compare, and write the result beside what was served.

    Where that is the adapter's `merged/`, it is written beside the adapter too.

    Raises:
        UsageError: what would be served is not this adapter, merged as it is now, or the base is
            not the one that it was trained on.
    """
    model, base = with_dtype(model), with_dtype(base)
    places = record_places(adapter, model)
    folder = places[-1]
    if model.adapter is None and not is_merged(adapter, folder):
        raise UsageError(
            f"{folder} does not hold {adapter} as it is now; type: python -m finetune merge "
            f"--adapter {adapter}"
        )
    if base.path is not None:
        require_base(adapter, base.path)
    tuned = load_tuned(adapter)
    for place in places:
        (place / ROUND_TRIP).unlink(missing_ok=True)
    answers = fixed_answers(tuned.model, tuned.tokenizer, tuned.renderer)
    expected = logprobs_of(tuned.model, answers)
    with tuned.model.disable_adapter():
        expected_base = logprobs_of(tuned.model, answers)
    served = _ask(model, answers, places[0] / "logs" / "tuned.log")
    served_base = _ask(base, answers, places[0] / "logs" / "base.log")
    texts = [tuned.tokenizer.decode(a.answer_ids, skip_special_tokens=True) for a in answers]
    faults, figures = judge(
        answers, texts, expected=(expected, expected_base), served=(served, served_base)
    )
    result = RoundTrip(
        passed=not faults,
        faults=tuple(faults),
        prompts=len(answers),
        tokens=sum(len(answer.answer_ids) for answer in answers),
        concurrency=model.concurrency,
        dtype=str(model.server.dtype),
        served=directory_digest(folder),
        base=directory_digest(tuned.base),
        server=vllm_version(),
        **figures,
    )
    for place in places:
        write_whole(place / ROUND_TRIP, result.model_dump_json(indent=1) + "\n")
    return result


def _ask(model: ModelConfig, answers: Sequence[Answer], log: Path) -> Served:
    """Serve a model and ask all questions at the concurrency of a search."""
    with (
        serving(model, log) as server,
        closing(Endpoint(server.base_url, "EMPTY", model.timeout_s)) as endpoint,
        ThreadPoolExecutor(model.concurrency) as pool,
    ):
        client, name = endpoint.client, model.request_name
        logprobs = list(pool.map(lambda answer: _logprobs(client, name, answer), answers))
        chats = list(pool.map(lambda answer: _chat(client, name, answer), answers))
    return Served(logprobs, [ids for ids, _ in chats], [text for _, text in chats])


def _logprobs(client: "OpenAI", name: str, answer: Answer) -> list[float]:
    """Return the server's log-probability of each answer token."""
    completion = client.completions.create(
        model=name,
        prompt=[*answer.prompt_ids, *answer.answer_ids],
        echo=True,
        max_tokens=0,
        logprobs=1,
        temperature=1.0,
    )
    scored: Any = completion.choices[0].logprobs
    return [float(value) for value in scored.token_logprobs[len(answer.prompt_ids) :]]


def _chat(client: "OpenAI", name: str, answer: Answer) -> tuple[list[int], str]:
    """Return how the server tokenised a conversation, and its greedy answer."""
    messages: Any = answer.prompt
    completion = client.chat.completions.create(
        model=name,
        messages=messages,
        temperature=0.0,
        top_p=1.0,
        max_tokens=64,
        seed=0,
        extra_body={"return_token_ids": True},
    )
    ids: Any = completion.model_extra or {}
    return list(ids["prompt_token_ids"]), completion.choices[0].message.content or ""


def judge(
    answers: Sequence[Answer],
    texts: Sequence[str],
    *,
    expected: tuple[list[list[float]], list[list[float]]],
    served: tuple[Served, Served],
) -> tuple[list[str], dict[str, float]]:
    """Return what is wrong and the figures of the comparison.

    Args:
        answers: what was asked.
        texts: greedy answers of the tuned model in transformers.
        expected: log-probabilities in transformers, of tuned model and base.
        served: what vLLM said, of tuned model and base.
    """
    agree = mean_difference(expected[0], served[0].logprobs)
    agree_base = mean_difference(expected[1], served[1].logprobs)
    differ = mean_difference(served[0].logprobs, served[1].logprobs)
    faults = []
    if [answer.prompt_ids for answer in answers] != served[0].prompt_ids:
        faults.append("the server's chat template gives other tokens than the training's")
    if max(agree, agree_base) > AGREE_MEAN:
        faults.append(
            f"vLLM and transformers disagree by {max(agree, agree_base):.4f} nats a token"
        )
    if differ < DIFFER_LEAST * agree or differ == 0:
        faults.append(f"the served model differs from its base by only {differ:.4f} nats a token")
    same = [ours == theirs for ours, theirs in zip(texts, served[0].texts, strict=True)]
    return faults, {
        "tuned_against_transformers": round(agree, 5),
        "base_against_transformers": round(agree_base, 5),
        "tuned_against_base": round(differ, 5),
        "same_text": round(sum(same) / len(same), 4),
    }
