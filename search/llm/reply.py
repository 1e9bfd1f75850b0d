"""From what a model wrote to a design, or to the reason why there is none.

Strict, with two exceptions that open models need: reasoning up to `</think>` is skipped, and the
one design may stand in prose or a code fence. Whatever the text is, the outcome is a design of
the space or a `ReplyError`; nothing else is raised.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import ValidationError

from cim_sim.own import AnySpace, OwnSpace
from cim_sim.space import Design, from_wire
from cim_sim.types import Frozen

Kind = Literal["empty", "too long", "no design", "several designs", "not JSON", "shape", "space"]

LONGEST = 20_000
"""Characters of a reply that are looked at; a design takes about 100."""
MESSAGE = 300
"""Longest error message: it goes back into a context that may be small."""

_PAIRS = "list of [channels,kernel] pairs"

START = re.compile(r"""\[\s*\[|\{\s*["']""")
"""A list of lists, or an object."""


class ReplyError(Exception):
    """Why a reply is no design, in words that help the model to do better."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message[:MESSAGE])
        self.kind = kind


def parse_reply(text: str, space: AnySpace) -> Design:
    """Return the one design that a reply names.

    Raises:
        ReplyError: there is none, or more than one, or it lies outside the space.
    """
    names = tuple(space.choices) if isinstance(space, OwnSpace) else ()
    value = _only_value(text, names)
    design = _named(value, names) if names else _design(value)
    faults = space.check(design)
    if faults:
        raise ReplyError("space", "; ".join(faults[:4]))
    # Names in the order of the space, and its own numbers: 8.0 is its 8.
    return space.decode(space.encode(design)) if names else design


def _only_value(text: str, names: Sequence[str]) -> Any:
    """Return the one JSON value that could be a design; `names` are its keys, if it has any."""
    text = text.rpartition("</think>")[2].strip()
    if not text:
        raise ReplyError("empty", "the answer is empty")
    if len(text) > LONGEST:
        raise ReplyError("too long", f"the answer has {len(text)} characters")
    values, place = [], 0
    while start := START.search(text, place):
        value, place = _decode(text, start.start())
        values.append(value)
    if not values:
        expected = f"JSON object with {', '.join(names)}" if names else _PAIRS
        raise ReplyError("no design", f"no {expected} found")
    if len(values) > 1:
        raise ReplyError("several designs", f"found {len(values)} designs, expected exactly one")
    return values[0]


def _decode(text: str, start: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, start)
    except RecursionError:
        raise ReplyError("not JSON", "the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        if error.pos >= len(text) or error.msg.startswith("Unterminated"):
            raise ReplyError("not JSON", "the JSON breaks off before its end") from None
        near = text[error.pos : error.pos + 20]
        raise ReplyError("not JSON", f"not JSON at {near!r}: {error.msg}") from None
    except ValueError as error:
        raise ReplyError("not JSON", f"not JSON: {error}") from None


def _named(value: Any, names: Sequence[str]) -> Design:
    if not isinstance(value, dict):
        expected = f"expected an object with {', '.join(names)}"
        raise ReplyError("shape", f"{expected}, found {_short(value)}")
    odd = [name for name, choice in value.items() if type(choice) not in (int, float, str)]
    if odd:
        raise ReplyError("shape", f"{odd[0]}: expected a number or a name")
    return Design.model_construct(layers=(), named=Frozen(value))


def _design(value: Any) -> Design:
    fault = _shape_fault(value)
    if fault:
        raise ReplyError("shape", fault)
    try:
        return from_wire(value)
    except ValidationError as error:
        details = error.errors()[:3]
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in details]
        raise ReplyError("shape", "; ".join(faults)) from None


def _shape_fault(value: Any) -> str | None:
    """Name what is not plain integers in pairs, or not a plain hardware object."""
    if isinstance(value, dict) and not {"layers"} <= value.keys() <= {"layers", "hardware"}:
        return f"expected the keys layers and hardware, found {', '.join(value)}"
    layers = value["layers"] if isinstance(value, dict) else value
    if not isinstance(layers, list):
        return f"layers: expected a list of pairs, found {_short(layers)}"
    for index, layer in enumerate(layers, start=1):
        if not (isinstance(layer, list) and len(layer) == 2 and all(type(x) is int for x in layer)):
            return f"layer {index}: expected [channels,kernel] as integers, found {_short(layer)}"
    hardware = value.get("hardware", {}) if isinstance(value, dict) else {}
    if not isinstance(hardware, dict):
        return f"hardware: expected an object, found {_short(hardware)}"
    odd = [name for name, choice in hardware.items() if type(choice) not in (int, str)]
    return f"hardware {odd[0]}: expected a number or a name" if odd else None


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key stands twice")
    return members


_DECODER = json.JSONDecoder(parse_constant=_constant, object_pairs_hook=_unique)
