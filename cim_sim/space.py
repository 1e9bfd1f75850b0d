"""Designs and the space they come from."""

import json
from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationError, model_validator

from cim_sim.config import Config, UsageError, digest
from cim_sim.hardware import FREEABLE, AdcLevels, CellBits, FreeHardware, Mapping, Subarray
from cim_sim.types import Choice, Count, Frozen, Name, Named

MOST_LAYERS = 64
"""Convolutions of a network; the paper's has 6."""
OddKernel = Annotated[int, Field(strict=True, ge=1, le=15)]
Width = Annotated[int, Field(strict=True, ge=1, le=65536)]


class ConvChoice(NamedTuple):
    """The free part of one convolution layer."""

    channels: Width
    kernel: Annotated[int, Field(strict=True, ge=1, le=64)]


class Design(Config):
    """What is free: (channels, kernel) of each convolution, and the freed hardware fields.

    In a problem of the user's own (`cim_sim.own`) it has no layers, but named parameters.
    """

    layers: tuple[ConvChoice, ...]
    hardware: FreeHardware = FreeHardware()
    named: Named = Field(default_factory=Frozen)

    @property
    def design_id(self) -> str:
        """Digest of the canonical JSON: equal designs have equal ids."""
        named = {"named": self.named} if self.named else {}
        return digest({"layers": self.layers, "hardware": self.hardware.chosen(), **named})

    def wire(self) -> dict[str, Any] | list[list[int]]:
        """Return the wire format: a bare list of pairs when no hardware is free.

        Of named parameters it is an object with the choice of each.
        """
        if self.named:
            return dict(self.named)
        layers = [list(layer) for layer in self.layers]
        chosen = self.hardware.chosen()
        return {"layers": layers, "hardware": chosen} if chosen else layers


def from_wire(value: Any) -> Design:
    """Build a design from parsed JSON: pairs, or an object of layers and hardware.

    Raises:
        pydantic.ValidationError: it is neither.
    """
    return Design.model_validate({"layers": value} if isinstance(value, list) else value)


def parse_design(text: str, where: str) -> Design:
    """Read a design that a user typed; `where` (an option, a file and line) begins the error.

    Raises:
        UsageError: it is not JSON, or not a design.
    """
    example = "[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]"
    try:
        return from_wire(json.loads(text))
    except ValidationError as error:
        fault = "; ".join(f"{_path(one['loc'])}{one['msg']}" for one in error.errors()[:6])
        fault = f"not a design: {fault}"
    except (ValueError, RecursionError) as error:
        fault = f"not JSON: {error}"
    raise UsageError(f"{where}: {fault}; a design looks like {example}")


class Parameter(NamedTuple):
    """One free decision: its name (`layer1.kernel`, `hardware.subarray`) and its choices."""

    name: str
    choices: tuple[Choice, ...]
    ordered: bool = False
    """Whether names lie between one another as numbers always do."""

    @property
    def ranked(self) -> bool:
        """Whether neighbours among the choices are alike."""
        return self.ordered or not any(isinstance(choice, str) for choice in self.choices)


class HardwareChoices(Config):
    """Choices of each freed hardware field; an empty tuple leaves the field to the scenario."""

    subarray: tuple[Subarray, ...] = ()
    cell_bits: tuple[CellBits, ...] = ()
    adc_levels: tuple[AdcLevels, ...] = ()
    mapping: tuple[Mapping, ...] = ()

    @model_validator(mode="after")
    def _choices_are_in_order(self) -> "HardwareChoices":
        for name in ("subarray", "cell_bits", "adc_levels"):
            if list(choices := getattr(self, name)) != sorted(set(choices)):
                raise ValueError(f"{name} must increase without repeats: {choices}")
        if len(set(self.mapping)) < len(self.mapping):
            raise ValueError(f"mapping must not repeat: {self.mapping}")
        return self


class Space(Config):
    """The ordered parameters of a design with their choices."""

    name: Name
    channels: tuple[Width, ...] = Field(min_length=1)
    kernels: tuple[OddKernel, ...] = Field(min_length=1)
    layers: Annotated[int, Field(ge=1, le=MOST_LAYERS)] = 6
    hardware: HardwareChoices = HardwareChoices()
    width_divisor: Count = 1
    """Channels of the trained proxy network are these divided by it; hardware keeps full width."""

    @model_validator(mode="after")
    def _choices_make_sense(self) -> "Space":
        for parameter in (("channels", self.channels), ("kernels", self.kernels)):
            if list(parameter[1]) != sorted(set(parameter[1])):
                raise ValueError(f"{parameter[0]} must increase without repeats: {parameter[1]}")
        even = [kernel for kernel in self.kernels if kernel % 2 == 0]
        if even:
            raise ValueError(f"kernels must be odd ('same' padding), found {even}")
        uneven = [c for c in self.channels if c % self.width_divisor]
        if uneven:
            raise ValueError(f"width_divisor {self.width_divisor} does not divide {uneven}")
        return self

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All free decisions, in wire order."""
        return _parameters(self)

    @property
    def freed(self) -> tuple[str, ...]:
        """Hardware fields that the optimiser chooses."""
        return tuple(name for name in FREEABLE if getattr(self.hardware, name))

    @property
    def size(self) -> int:
        """Number of designs."""
        return prod(len(parameter.choices) for parameter in self.parameters)

    def decode(self, indices: Sequence[int]) -> Design:
        """Return the design at one index for each parameter."""
        values = [p.choices[i] for p, i in zip(self.parameters, indices, strict=True)]
        split = 2 * self.layers
        pairs = zip(values[0:split:2], values[1:split:2], strict=True)
        hardware = dict(zip(self.freed, values[split:], strict=True))
        return Design.model_validate({"layers": list(pairs), "hardware": hardware})

    def encode(self, design: Design) -> tuple[int, ...]:
        """Return the index of each parameter; the inverse of `decode`.

        Raises:
            UsageError: the design lies outside the space; names all faults.
        """
        self.require(design)
        values: list[Choice] = [value for layer in design.layers for value in layer]
        values += list(design.hardware.chosen().values())
        return tuple(p.choices.index(v) for p, v in zip(self.parameters, values, strict=True))

    def check(self, design: Design) -> list[str]:
        """Name every fault of a design: missing, unknown and out of range; empty if it fits."""
        faults = []
        if len(design.layers) != self.layers:
            faults.append(f"expected {self.layers} layers, found {len(design.layers)}")
        for index, layer in enumerate(design.layers, start=1):
            if layer.channels not in self.channels:
                channels = in_braces(self.channels)
                faults.append(f"layer {index}: channels {layer.channels} not in {channels}")
            if layer.kernel not in self.kernels:
                kernels = in_braces(self.kernels)
                faults.append(f"layer {index}: kernel {layer.kernel} not in {kernels}")
        chosen = design.hardware.chosen()
        for name in FREEABLE:
            choices = getattr(self.hardware, name)
            if choices and name not in chosen:
                faults.append(f"hardware {name} is missing; choose from {in_braces(choices)}")
            elif name in chosen and not choices:
                faults.append(f"hardware {name} is not free in this space")
            elif choices and chosen[name] not in choices:
                faults.append(f"hardware {name} {chosen[name]} not in {in_braces(choices)}")
        return faults

    def require(self, design: Design) -> None:
        """Raise UsageError with every fault of `check`."""
        faults = self.check(design)
        if faults:
            raise UsageError(f"design outside space {self.name}: " + "; ".join(faults))


@cache
def _parameters(space: Space) -> tuple[Parameter, ...]:
    """Every encoding and decoding asks for them."""
    convolutions = [
        Parameter(f"layer{index + 1}.{field}", choices)
        for index in range(space.layers)
        for field, choices in (("channels", space.channels), ("kernel", space.kernels))
    ]
    hardware = [
        Parameter(f"hardware.{name}", getattr(space.hardware, name)) for name in space.freed
    ]
    return (*convolutions, *hardware)


def _path(location: tuple[int | str, ...]) -> str:
    return "".join(f"{part}: " for part in location)


def in_braces(choices: Sequence[Choice]) -> str:
    """Return choices as an error names them."""
    return "{" + ", ".join(str(choice) for choice in choices) + "}"
