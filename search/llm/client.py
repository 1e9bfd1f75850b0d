"""Asks a model for completions: explicit requests, bounded retries, replies from the record."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from cim_sim.config import UsageError
from search.llm.foreseen import Token, expected_accuracy, likelihood
from search.llm.model import ModelConfig
from search.llm.prompt import Message
from search.proposal import SearchStopped
from search.record.provenance import now
from search.record.trace import Exchange

LONGEST_PAUSE_S = 30.0

Constraint = Mapping[str, str | list[str]]
"""What a reply must be, in vLLM's words: {"regex": ...} or {"choice": [...]}."""


WEIGHED: Mapping[str, Any] = {"logprobs": True, "top_logprobs": 12}
"""Asks for the likeliest tokens at each place: ten digits and some more."""

GO_ON: Mapping[str, Any] = {"add_generation_prompt": False, "continue_final_message": True}
"""Asks for the rest of the last message instead of an answer to it."""


class Completion(NamedTuple):
    """What a model answered."""

    text: str
    finish_reason: str | None
    usage: dict[str, int]
    tokens: tuple[Token, ...] = ()
    """Where they were asked for."""


class Unavailable(Exception):
    """The server is busy, failing or silent: worth another try."""

    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s
        """How long the server asks us to wait."""


class Transport(Protocol):
    """Carries one request to a model; safe to use from several threads."""

    def send(self, request: Mapping[str, Any]) -> Completion:
        """Return the answer.

        Raises:
            Unavailable: there is none now.
            UsageError: there will never be one to this request.
        """

    def close(self) -> None:
        """Release connections; requests under way end early."""


class Client:
    """Completes conversations, each named by (step, attempt); answers from the record first.

    A recorded request is not sent again: its reply is what it was. So a resumed run walks through
    the same code as the unbroken one and arrives at the same next prompt and request seed.
    """

    def __init__(
        self,
        model: ModelConfig,
        transport: Transport,
        recorded: Sequence[Exchange] = (),
        fault: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`fault` says why no further try can help, when that is so (the server has died)."""
        self.model = model
        self._transport, self._fault = transport, fault
        self._recorded = {(exchange.step, exchange.attempt): exchange for exchange in recorded}
        self._closed = threading.Event()

    def complete(
        self,
        step: int,
        attempt: int,
        messages: Sequence[Message],
        seed: int,
        constraint: Constraint | None = None,
        *,
        weighed: bool = False,
        begun: str = "",
    ) -> Exchange:
        """Return the exchange, with its reply; whether that is a design is not asked here.

        Args:
            step: names the exchange, with `attempt`.
            attempt: counts from 0.
            messages: the conversation so far.
            seed: of the sampling.
            constraint: what the reply must be, which vLLM alone takes; None: any text.
            weighed: whether to ask for the probabilities of tokens; see `search.llm.foreseen`.
            begun: how the reply begins, which the model reads instead of writing it; vLLM alone.

        Raises:
            SearchStopped: the server gave no answer after all tries.
            UsageError: the server refuses the request, or the record holds another one.
        """
        request = self.request(messages, seed, constraint) | dict(WEIGHED if weighed else {})
        if begun:
            request["messages"].append({"role": "assistant", "content": begun})
            request |= GO_ON
        known = self._recorded.get((step, attempt))
        if known is not None:
            _require_equal(known, request)
            return known
        started_at, start = now(), time.perf_counter()
        completion = self._completed(request)
        return Exchange(
            step=step,
            attempt=attempt,
            request=request,
            reply=begun + _writable(completion.text),
            finish_reason=completion.finish_reason,
            usage=completion.usage,
            expected=expected_accuracy(completion.tokens, begun),
            logprob=None if begun else likelihood(completion.tokens),
            started_at=started_at,
            seconds=time.perf_counter() - start,
        )

    def request(
        self, messages: Sequence[Message], seed: int, constraint: Constraint | None = None
    ) -> dict[str, Any]:
        """Return what is sent: every sampling field is explicit."""
        constrained = {} if constraint is None else {"structured_outputs": dict(constraint)}
        return {
            "model": self.model.request_name,
            "messages": [dict(message) for message in messages],
            **self.model.sampling.model_dump(),
            "seed": seed,
            "n": 1,
            **self.model.extra_body,
            **constrained,
        }

    def close(self) -> None:
        """End pauses and requests that are under way."""
        self._closed.set()
        self._transport.close()

    def _completed(self, request: Mapping[str, Any]) -> Completion:
        """Send until there is an answer; an empty one counts as an answer at the last try."""
        pause_s, reason = self.model.pause_s, ""
        for left in reversed(range(self.model.tries)):
            try:
                completion = self._transport.send(request)
                if completion.text.strip() or not left:
                    return completion
                asked_s, reason = None, "the reply was empty"
            except Unavailable as error:
                asked_s, reason = error.pause_s, str(error)
            self._require_open_server(reason)
            if left:
                self._closed.wait(min(max(pause_s, asked_s or 0), LONGEST_PAUSE_S))
                pause_s *= 2
        tries = f"{self.model.tries} tries"
        raise SearchStopped(
            f"model {self.model.name} gave no answer in {tries}; the last: {reason}"
        )

    def _require_open_server(self, reason: str) -> None:
        if self._closed.is_set():
            raise SearchStopped(f"model {self.model.name} was closed")
        if fault := self._fault():
            raise SearchStopped(f"{reason}: {fault}")


def _writable(text: str) -> str:
    """Replace lone surrogates, which JSON can carry and UTF-8 cannot."""
    return text.encode(errors="replace").decode()


def _require_equal(known: Exchange, request: Mapping[str, Any]) -> None:
    if known.request == request:
        return
    keys = [*known.request, *(key for key in request if key not in known.request)]
    faults = [
        f"{key}: {_excerpt(known.request.get(key), request.get(key))}"
        for key in keys
        if known.request.get(key) != request.get(key)
    ]
    raise UsageError(
        f"step {known.step}, attempt {known.attempt}: the recorded request is not the one that "
        "this run makes now:\n  " + "\n  ".join(faults) + "\nthe code or the settings have "
        "changed since: start a new run"
    )


def _excerpt(old: Any, new: Any) -> str:
    """Show two values from where they begin to differ."""
    left, right = json.dumps(old), json.dumps(new)
    pairs = zip(left, right, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
    start = max(place - 20, 0)
    return f"recorded ...{left[start : place + 60]}, now ...{right[start : place + 60]}"
