"""What a model thinks of its own answer, read from the probabilities of the tokens that it wrote.

How likely the design is to it, and the accuracy that it expects.

A sampled number has the noise of sampling; the mean over the digits that the model weighed has
none, and costs no second request.
"""

import re
from collections.abc import Mapping, Sequence
from math import exp, isfinite
from typing import NamedTuple

from search.record.trace import Exchange

WRITTEN = re.compile(r"accuracy (0\.[0-9][0-9])\s*$")


class Token(NamedTuple):
    """One token of a reply."""

    text: str
    logprob: float
    """Natural logarithm of its probability, before any constraint and at temperature 1."""
    alternatives: Mapping[str, float]
    """Log probability of the likeliest tokens at its place."""


def expected_accuracy(tokens: Sequence[Token], begun: str = "") -> float | None:
    """Return the mean of the two decimals that end a reply; None where it ends otherwise.

    `begun` is what stood before the tokens. The mean of the tenths, and of the hundredths that
    follow the tenth that was drawn. A tokenizer that joins digits has no such distribution, and
    then there is none.
    """
    said = [token for token in tokens if not token.text.startswith("<|")]
    if not WRITTEN.search(begun + "".join(token.text for token in said)):
        return None
    tenths, hundredths = (_mean_digit(token) for token in said[-2:])
    return None if tenths is None or hundredths is None else tenths / 10 + hundredths / 100


def likelihood(tokens: Sequence[Token]) -> float | None:
    """Return the log probability of a reply, up to the accuracy that it may go on with."""
    texts = [token.text.strip() for token in tokens]
    end = texts.index("accuracy") if "accuracy" in texts else len(tokens)
    total = sum(token.logprob for token in tokens[:end])
    return total if tokens and isfinite(total) else None


def expectation(exchange: Exchange) -> float | None:
    """Return the accuracy that a reply expects of its design: weighed, else as it is written."""
    if exchange.expected is not None:
        return exchange.expected
    found = WRITTEN.search(exchange.reply or "")
    return float(found[1]) if found else None


def _mean_digit(token: Token) -> float | None:
    weights = {text: exp(logp) for text, logp in token.alternatives.items() if text in _DIGITS}
    total = sum(weights.values())
    return sum(int(text) * weight for text, weight in weights.items()) / total if total else None


_DIGITS = frozenset("0123456789")
