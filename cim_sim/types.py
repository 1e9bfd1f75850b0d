"""Kinds of numbers and arrays that all packages share; a model of pydantic checks the numbers."""

import re
from math import isfinite
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, PlainValidator

Count = Annotated[int, Field(ge=1)]
"""1 or more."""
Natural = Annotated[int, Field(ge=0)]
"""0 or more."""
LARGEST_WHOLE = 2**53
"""Up to here tables, JavaScript and floating point hold each whole number."""
Whole = Annotated[int, Field(ge=-LARGEST_WHOLE, le=LARGEST_WHOLE)]
Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole."""

LONGEST_NAME = 200
"""Bytes: a folder's name may have 255, and some of ours add a few words."""


def _name(value: str) -> str:
    fits = value.isprintable() and "/" not in value and value not in {"", ".", ".."}
    if not fits or len(value.encode()) > LONGEST_NAME:
        raise ValueError(
            "a folder is called so: expected printable characters without /, at most "
            f"{LONGEST_NAME} bytes, found {value!r:.80}"
        )
    return value


Name = Annotated[str, AfterValidator(_name)]
"""Of what a folder is named after."""

ValueT = TypeVar("ValueT")


class Frozen(dict[str, ValueT]):
    """A mapping that nobody changes, so that what holds it can be a key; the order is no matter."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")
"""A number with an exponent that YAML 1.1 takes for text."""


def _fact(value: Any) -> int | float | str:
    if isinstance(value, bool):
        raise ValueError("YAML reads yes, no, on, off, true and false as truth values: quote them")
    if isinstance(value, str) and EXPONENT.fullmatch(value):
        raise ValueError(f"YAML reads {value} as text; with point and sign it is a number: 2.9e+6")
    if isinstance(value, str) and value and value.isprintable():
        return value
    if isinstance(value, int) and abs(value) <= LARGEST_WHOLE:
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    raise ValueError(f"expected a number or a line of text, found {value!r:.80}")


def _choice(value: Any) -> int | float | str:
    if isinstance(value, str) and set(value) & set(',;"\\'):
        raise ValueError(f'expected a name without , ; " and \\, found {value!r:.80}')
    return _fact(value)


Fact = Annotated[int | float | str, PlainValidator(_fact)]
"""A number or a line of text."""
Choice = Annotated[int | float | str, PlainValidator(_choice)]
"""What a parameter may be: a number or a name."""
Named = Annotated[dict[str, Choice], AfterValidator(Frozen)]
"""Choices by the names of their parameters."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.int64]
"""Positions among the choices of each parameter of a space, [designs, parameters]."""
