"""A problem of the user's own, which this simulator knows nothing of: named parameters and facts.

A scenario and a space in the same places as those of `cim_sim.scenario` and `cim_sim.space`, and
with the same members as far as a search needs them. An evaluator of the user's own judges.
"""

import json
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from cim_sim.config import Config, UsageError, digest, parse, read_yaml
from cim_sim.scenario import Scenario
from cim_sim.space import Design, Parameter, Space, in_braces
from cim_sim.types import Choice, Count, Fact, Frozen, Name, Whole

MOST = 10_000
"""Choices of one parameter: prompts, grammars and samplers list them."""


class Range(Config):
    """Whole numbers from `low` to `high`, both included."""

    low: Whole
    high: Whole
    step: Count = 1

    @model_validator(mode="after")
    def _holds_some(self) -> Self:
        count = (self.high - self.low) // self.step + 1
        if not 1 <= count <= MOST:
            raise ValueError(f"1 to {MOST:,} numbers make a range, found {max(count, 0):,}")
        return self

    @property
    def values(self) -> range:
        """All numbers."""
        return range(self.low, self.high + 1, self.step)


class Ordered(Config):
    """Names that have an order, the lowest first."""

    ordered: tuple[Choice, ...] = Field(min_length=1, max_length=MOST)


def _either_numbers_or_names(listed: tuple[Choice, ...]) -> tuple[Choice, ...]:
    if len({isinstance(choice, str) for choice in listed}) > 1:
        raise ValueError("numbers or names, not both")
    if not isinstance(listed[0], str) and list(listed) != sorted(listed):
        raise ValueError(f"numbers must increase, found {list(listed)}")
    return listed


Listed = Annotated[
    tuple[Choice, ...],
    Field(min_length=1, max_length=MOST),
    AfterValidator(_either_numbers_or_names),
]
"""Numbers, which have an order, or names, which have none."""


def _form(value: Any) -> str:
    if isinstance(value, (Ordered, dict)):
        return "(ordered)" if isinstance(value, Ordered) or "ordered" in value else "(range)"
    return "(range)" if isinstance(value, Range) else "(list)"


Choices = Annotated[
    Annotated[Listed, Tag("(list)")]
    | Annotated[Range, Tag("(range)")]
    | Annotated[Ordered, Tag("(ordered)")],
    Discriminator(_form),
]
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class OwnSpace(Config):
    """Named parameters with their choices, in the order of the wire format."""

    name: Name
    choices: Annotated[dict[ParameterName, Choices], Field(min_length=1), AfterValidator(Frozen)]
    """By the name of the parameter: `[8, 16, 32]`, `[ws, os]`, `{low: 1, high: 64}`, or
    `{ordered: [small, large]}`."""

    @model_validator(mode="after")
    def _choices_differ(self) -> Self:
        for name, choices, _ in self.parameters:
            if len(set(choices)) < len(choices):
                raise ValueError(f"choices.{name}: a choice stands twice")
        return self

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All free decisions, in wire order."""
        return tuple(_parameter(name, given) for name, given in self.choices.items())

    @property
    def words(self) -> str:
        """Each parameter with its choices, as a prompt tells them."""
        return "; ".join(f"{name} {_told(given)}" for name, given in self.choices.items())

    @property
    def size(self) -> int:
        """Number of designs."""
        return prod(len(parameter.choices) for parameter in self.parameters)

    def decode(self, indices: Sequence[int]) -> Design:
        """Return the design at one index for each parameter."""
        places = zip(self.parameters, indices, strict=True)
        return Design(layers=(), named={p.name: p.choices[index] for p, index in places})

    def encode(self, design: Design) -> tuple[int, ...]:
        """Return the index of each parameter; the inverse of `decode`.

        Raises:
            UsageError: the design lies outside the space; names all faults.
        """
        self.require(design)
        return tuple(p.choices.index(design.named[p.name]) for p in self.parameters)

    def check(self, design: Design) -> list[str]:
        """Name every fault of a design: missing, unknown and out of range; empty if it fits."""
        faults, named = [], design.named
        for name, choices, _ in self.parameters:
            if name not in named:
                faults.append(f"{name} is missing; choose from {_offered(choices)}")
            elif named[name] not in choices:
                faults.append(f"{name} {json.dumps(named[name])} not in {_offered(choices)}")
        faults += [f"{name} is no parameter" for name in named if name not in self.choices]
        return faults + (["layers are no parameter"] if design.layers else [])

    def require(self, design: Design) -> None:
        """Raise UsageError with every fault of `check`."""
        faults = self.check(design)
        if faults:
            raise UsageError(f"design outside space {self.name}: " + "; ".join(faults))


class OwnScenario(Config):
    """What is fixed in a problem of the user's own; its digest identifies it."""

    name: Name
    choose: str
    """What is to be chosen, as a prompt says it: `a systolic array for one layer`."""
    facts: Annotated[dict[str, Fact], AfterValidator(Frozen)] = Field(default_factory=Frozen)
    """What is told of the problem, one a line, and handed to the evaluator."""
    objective: str
    """What the reward is, in words; higher is better.

    Models are told three decimals of it and pages show four: let it be of the order of 1.
    """
    optimum: float | None = None
    """Reward of the best design, where it is known; a comparison measures regret from it."""

    @property
    def digest(self) -> str:
        """Identity: digest of everything but the name and what is known of the answer."""
        whole = self.model_dump(mode="json", exclude={"name", "optimum"})
        return digest(whole)

    @property
    def metric(self) -> str:
        """What tables call the objective."""
        return self.objective


AnySpace = Space | OwnSpace
AnyScenario = Scenario | OwnScenario


def is_own(data: Any) -> bool:
    """Whether plain data, or an object, is a space or a scenario of the user's own."""
    if isinstance(data, dict):
        ours = {"channels", "kernels", "hardware", "variation"}.isdisjoint(data)
        return not {"choices", "choose", "facts"}.isdisjoint(data) or (ours and bool(data))
    return isinstance(data, (OwnSpace, OwnScenario))


def load_space(path: Path | str) -> AnySpace:
    """Read a space of either kind, as `config.load` does."""
    data = read_yaml(path)
    return parse(data, OwnSpace, str(path)) if is_own(data) else parse(data, Space, str(path))


def load_scenario(path: Path | str) -> AnyScenario:
    """Read a scenario of either kind, as `config.load` does."""
    data = read_yaml(path)
    return parse(data, OwnScenario, str(path)) if is_own(data) else parse(data, Scenario, str(path))


def either(data: Any) -> str:
    """Return the tag by which pydantic tells the two kinds apart."""
    return "(own)" if is_own(data) else "(cim)"


def or_file(read: Callable[[Path | str], Any]) -> Callable[[Any], Any]:
    """Return what reads a path with `read` and leaves all else as it is."""
    return lambda value: read(value) if isinstance(value, (str, Path)) else value


def _parameter(name: str, given: Any) -> Parameter:
    if isinstance(given, Range):
        return Parameter(name, tuple(given.values))
    if isinstance(given, Ordered):
        return Parameter(name, given.ordered, ordered=True)
    return Parameter(name, given)


def _told(given: Any) -> str:
    if isinstance(given, Range):
        return f"{given.low} to {given.high}" + (f" by {given.step}" if given.step > 1 else "")
    listed = given.ordered if isinstance(given, Ordered) else given
    return ",".join(map(str, listed))


def _offered(choices: Sequence[Choice]) -> str:
    few = len(choices) <= 20
    return in_braces(choices) if few else f"{choices[0]} to {choices[-1]}, {len(choices)} choices"
