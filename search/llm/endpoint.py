"""An OpenAI-compatible endpoint over HTTP, and what its answers and refusals mean."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from cim_sim.config import UsageError
from search.llm.client import Completion, Unavailable
from search.llm.foreseen import Token

NO_KEY = "EMPTY"
"""What goes where a key is wanted and none is needed, as vLLM's own examples do."""


class Endpoint:
    """An OpenAI-compatible endpoint, over HTTP; `client` reaches this machine past any proxy."""

    def __init__(self, base_url: str, api_key: str, timeout_s: float) -> None:
        from openai import DefaultHttpxClient, OpenAI

        self._base_url, self._timeout_s = base_url, timeout_s
        self._secret = b"" if api_key == NO_KEY else api_key.encode()
        self.client = OpenAI(
            base_url=base_url,
            api_key=api_key,
            max_retries=0,
            timeout=timeout_s,
            http_client=DefaultHttpxClient(trust_env=not _is_local(base_url)),
        )

    def send(self, request: Mapping[str, Any]) -> Completion:
        """Post a chat completion: what is sent is `request`, whole and nothing else."""
        import openai

        rest: dict[str, Any] = dict(request)
        model, messages = rest.pop("model"), rest.pop("messages")
        try:
            response = self.client.chat.completions.with_raw_response.create(
                model=model, messages=messages, extra_body=rest
            )
        except openai.APITimeoutError:
            raise Unavailable(f"no answer within {self._timeout_s:g} s") from None
        except openai.APIConnectionError as error:
            cause = f"{self._base_url} cannot be reached: {error.__cause__ or error}"
            raise Unavailable(self._keyless(cause.encode()).decode()) from None
        except openai.APIStatusError as error:
            status, header = error.status_code, error.response.headers
            text = self._keyless(error.response.content).decode(errors="replace")
            raise _refusal(status, text, header.get("retry-after")) from None
        return _completion(self._keyless(response.content))

    def _keyless(self, answer: bytes) -> bytes:
        """Take the key out of an answer: some servers repeat it, and what they say is recorded."""
        return answer.replace(self._secret, b"***") if self._secret else answer

    def close(self) -> None:
        """Close all connections."""
        self.client.close()


def _is_local(base_url: str) -> bool:
    """Whether it is this machine, which no proxy of the environment can reach."""
    return urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")


def _refusal(status: int, text: str, retry_after: str | None) -> Exception:
    answer = f"HTTP {status}: {' '.join(text.split())[:300]}"
    if status in (408, 409, 425, 429) or status >= 500:
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
        return Unavailable(answer, seconds)
    hints = {401: "; is OPENAI_API_KEY set?", 404: "; is the model's name right?"}
    return UsageError(f"the model server refuses the request: {answer}{hints.get(status, '')}")


class _Message(BaseModel):
    content: str | None = None


class _Alternative(BaseModel):
    token: str
    logprob: float


class _Weighed(BaseModel):
    token: str
    logprob: float
    top_logprobs: list[_Alternative] = []


class _Logprobs(BaseModel):
    content: list[_Weighed] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None

    @property
    def tokens(self) -> tuple[Token, ...]:
        weighed = (self.logprobs and self.logprobs.content) or []
        return tuple(
            Token(one.token, one.logprob, {each.token: each.logprob for each in one.top_logprobs})
            for one in weighed
        )


class _Answer(BaseModel):
    choices: list[_Choice]
    usage: dict[str, Any] | None = None


def _completion(body: bytes) -> Completion:
    """Read an answer.

    Raises:
        Unavailable: the body is empty or something else.
    """
    try:
        answer = _Answer.model_validate(json.loads(body))
        choice = answer.choices[0]
    except (ValueError, ValidationError, RecursionError, IndexError):
        raise Unavailable(f"the reply is no chat completion: {body[:80]!r}") from None
    usage = {k: v for k, v in (answer.usage or {}).items() if type(v) is int}
    text = choice.message.content or ""
    return Completion(text, choice.finish_reason, usage, choice.tokens)
