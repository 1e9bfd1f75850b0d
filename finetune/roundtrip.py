"""The gate before any comparison: what vLLM serves is what was trained.

Adapters that are accepted and applied to nothing are the commonest failure of the field
(vllm#55193, #34186). On fixed prompts, at the concurrency of a search, vLLM with the tuned model
must differ from vLLM with the base, and both must agree with transformers, where the tuned model
is the base with PEFT's adapter on top.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cim_sim import cli
from cim_sim.config import Config, UsageError, load
from finetune.adapter import MERGED, require_base
from finetune.inference import encode, fixed_prompts, greedy, token_logprobs
from finetune.merge import Tuned, load_tuned
from search.llm.model import ModelConfig, directory_digest
from search.llm.server import serving

if TYPE_CHECKING:
    from openai import OpenAI
    from transformers import PreTrainedModel

RESULT = "roundtrip.json"
AGREE_MEAN = 0.1
"""Largest mean difference between vLLM (bf16) and transformers (fp32), nats per answer token."""
DIFFER_LEAST = 5.0
"""The tuned model must differ from the base by this many times the disagreement of the stacks."""


class RoundTrip(Config):
    """Outcome of the check; differences are means of |log p - log p'| over answer tokens."""

    passed: bool
    faults: tuple[str, ...]
    prompts: int
    tokens: int
    concurrency: int
    tuned_against_transformers: float
    base_against_transformers: float
    tuned_against_base: float
    same_text: float
    """Share of greedy answers that vLLM and transformers write alike; bf16 decides near ties."""
    served: str
    """Digest of the directory that vLLM served as the tuned model."""
    base: str


class Answer(NamedTuple):
    """A fixed prompt, and what the tuned model answers in transformers."""

    messages: list[dict[str, str]]
    prompt_ids: list[int]
    answer_ids: list[int]


class Served(NamedTuple):
    """What one server said."""

    logprobs: list[list[float]]
    """Of each answer's tokens."""
    prompt_ids: list[list[int]]
    """How the server's template tokenised each conversation."""
    texts: list[str]
    """Greedy answers of its own."""


def roundtrip(
    adapter: Path = Path("runs/finetune/local"),
    model: Path = Path("configs/models/local.yaml"),
    base: Path = Path("configs/models/base.yaml"),
) -> int:
    """Check that vLLM serves the tuned model, and write `roundtrip.json` beside the adapter.

    Args:
        adapter: directory of the adapter.
        model: how the tuned model is served in a search.
        base: how its base is.
    """
    tuned = placed(load(model, ModelConfig), adapter)
    result = check(adapter, tuned, load(base, ModelConfig))
    for fault in result.faults:
        print(f"round trip: {fault}")
    cli.emit(**result.model_dump(mode="json"))
    return 0 if result.passed else cli.EXIT_FAILED


def placed(model: ModelConfig, adapter: Path) -> ModelConfig:
    """Return the configuration with this adapter's directories for those written in it."""
    if model.adapter is not None:
        return model.model_copy(update={"adapter": adapter})
    return model.model_copy(update={"path": adapter / MERGED})


def check(adapter: Path, model: ModelConfig, base: ModelConfig) -> RoundTrip:
    """Serve both models in turn, compare, and write the result."""
    (adapter / RESULT).unlink(missing_ok=True)
    if base.path is not None:
        require_base(adapter, base.path)
    tuned = load_tuned(adapter)
    answers = _answers(tuned)
    expected = _transformers(tuned.model, answers)
    with tuned.model.disable_adapter():
        expected_base = _transformers(tuned.model, answers)
    served = _ask(model, answers, adapter / "logs" / "tuned.log")
    served_base = _ask(base, answers, adapter / "logs" / "base.log")
    texts = [tuned.tokenizer.decode(a.answer_ids, skip_special_tokens=True) for a in answers]
    faults, figures = judge(
        answers, texts, expected=(expected, expected_base), served=(served, served_base)
    )
    result = RoundTrip(
        passed=not faults,
        faults=tuple(faults),
        prompts=len(answers),
        tokens=sum(len(one.answer_ids) for one in answers),
        concurrency=model.concurrency,
        served=directory_digest(model.adapter or model.path or Path()),
        base=directory_digest(tuned.base),
        **figures,
    )
    (adapter / RESULT).write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return result


def require_passed(adapter: Path) -> RoundTrip:
    """Read `roundtrip.json`.

    Raises:
        UsageError: the check was not made, or failed.
    """
    file = adapter / RESULT
    if not file.is_file():
        raise UsageError(f"{file} is missing: run python -m finetune roundtrip --adapter {adapter}")
    result = RoundTrip.model_validate_json(file.read_text(encoding="utf-8"))
    if not result.passed:
        raise UsageError(f"{file}: the round trip failed: {'; '.join(result.faults)}")
    return result


def _answers(tuned: Tuned) -> list[Answer]:
    found = []
    for prompt in fixed_prompts(tuned.renderer):
        prompt_ids, _ = encode(tuned.tokenizer, prompt, "")
        answer_ids = greedy(tuned.model, tuned.tokenizer, prompt_ids)
        found.append(Answer([dict(message) for message in prompt], prompt_ids, answer_ids))
    return found


def _transformers(model: "PreTrainedModel", answers: Sequence[Answer]) -> list[list[float]]:
    return [token_logprobs(model, one.prompt_ids, one.answer_ids) for one in answers]


def _ask(model: ModelConfig, answers: Sequence[Answer], log: Path) -> Served:
    """Serve a model and ask all questions at the concurrency of a search."""
    from openai import OpenAI

    with (
        serving(model, log) as server,
        OpenAI(base_url=server.base_url, api_key="EMPTY", timeout=model.timeout_s) as client,
        ThreadPoolExecutor(model.concurrency) as pool,
    ):
        name = model.request_name
        logprobs = list(pool.map(lambda one: _logprobs(client, name, one), answers))
        chats = list(pool.map(lambda one: _chat(client, name, one), answers))
    return Served(logprobs, [ids for ids, _ in chats], [text for _, text in chats])


def _logprobs(client: "OpenAI", name: str, one: Answer) -> list[float]:
    """Return the server's log-probability of each answer token."""
    completion = client.completions.create(
        model=name,
        prompt=[*one.prompt_ids, *one.answer_ids],
        echo=True,
        max_tokens=0,
        logprobs=1,
        temperature=1.0,
    )
    found = completion.choices[0].logprobs
    assert found is not None
    assert found.token_logprobs is not None
    return [float(value) for value in found.token_logprobs[len(one.prompt_ids) :]]


def _chat(client: "OpenAI", name: str, one: Answer) -> tuple[list[int], str]:
    """Return how the server tokenised a conversation, and its greedy answer."""
    messages: Any = one.messages
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
    agree = _difference(expected[0], served[0].logprobs)
    agree_base = _difference(expected[1], served[1].logprobs)
    differ = _difference(served[0].logprobs, served[1].logprobs)
    faults = []
    if any(ids != one.prompt_ids for ids, one in zip(served[0].prompt_ids, answers, strict=True)):
        faults.append("the server's chat template gives other tokens than the training's")
    if max(agree, agree_base) > AGREE_MEAN:
        faults.append(
            f"vLLM and transformers disagree by {max(agree, agree_base):.4f} nats a token"
        )
    if differ < DIFFER_LEAST * agree or differ == 0:
        faults.append(f"the served model differs from its base by only {differ:.4f} nats a token")
    same = [one == other for one, other in zip(texts, served[0].texts, strict=True)]
    return faults, {
        "tuned_against_transformers": round(agree, 5),
        "base_against_transformers": round(agree_base, 5),
        "tuned_against_base": round(differ, 5),
        "same_text": round(sum(same) / len(same), 4),
    }


def _difference(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> float:
    """Mean absolute difference over all tokens, in nats."""
    pairs = [
        abs(one - other)
        for a, b in zip(left, right, strict=True)
        for one, other in zip(a, b, strict=True)
    ]
    return sum(pairs) / len(pairs)
