"""Asks a model what accuracy it expects of a design that somebody else proposes.

Accuracy sees a chip by its converters and by what its cells make of the variation, and a network
by the widths at which it is trained. What follows from the design and the scenario by a formula
need not be guessed: each design is asked about on its own chip, with the variation of a weight on
that, and in widths of one scale. So where the same network is trained under the same noise in two
tasks, both tell it in the same words, whatever else they say of costs, reward and limits.
"""

from collections.abc import Sequence
from typing import NamedTuple

from cim_sim.config import UsageError
from cim_sim.hardware import FixedHardware, FreeHardware
from cim_sim.space import ConvChoice, Design, HardwareChoices
from cim_sim.variation import Variation
from search.llm.client import Client
from search.llm.dialogue import BEGUN, DECIMALS
from search.llm.foreseen import expectation
from search.llm.prompt import Message, answer, render
from search.record.tasks import Task
from search.record.trace import Exchange

DIVISOR = 4
"""Widths are told as those of a space with this `width_divisor`, which all training tasks have."""


class Question(NamedTuple):
    """A design, and how a model is asked about it."""

    design: Design
    messages: list[Message]
    """They ask for a design, as those of a dialogue that has just begun do."""
    told: Design
    """The design in their words, which the model reads as the beginning of its own answer."""


def question(task: Task, design: Design, similar: Sequence[Design]) -> Question:
    """Return how a model is asked what accuracy it expects of a design.

    Args:
        task: whose design.
        design: of its space.
        similar: designs of its space that similar tasks chose, the nearest task first.
    """
    fixed = on_chip(task, design.hardware)
    known = tuple(dict.fromkeys(told(task, one) for one in similar))
    messages = render(fixed.scenario, fixed.space, [], style="dialogue", similar=known, value=True)
    return Question(design, messages, told(task, design))


def on_chip(task: Task, hardware: FreeHardware) -> Task:
    """Return the task on one chip, in which a network is as accurate as with `hardware` in `task`.

    Its variation is that of a weight, its widths are in units of `DIVISOR`; what else it says, the
    reward and the limits, is that of `task`.
    """
    chip, variation = task.scenario.hardware.complete(hardware), task.scenario.variation
    of_weight = Variation(
        sigma=variation.effective(chip.cell_bits), state_dependence=variation.state_dependence
    )
    told_scenario = {"hardware": FixedHardware(**chip.model_dump()), "variation": of_weight}
    told_space = {
        "channels": tuple(_width(task, one) for one in task.space.channels),
        "hardware": HardwareChoices(),
        "width_divisor": DIVISOR,
    }
    return Task(
        space=task.space.model_copy(update=told_space),
        scenario=task.scenario.model_copy(update=told_scenario),
    )


def told(task: Task, design: Design) -> Design:
    """Return a design of `task` as it is named in `on_chip`."""
    layers = tuple(ConvChoice(_width(task, one.channels), one.kernel) for one in design.layers)
    return Design(layers=layers)


def _width(task: Task, channels: int) -> int:
    return channels * DIVISOR // task.space.width_divisor


def weigh(client: Client, place: int, asked: Question, seed: int) -> Exchange:
    """Return an exchange that says what accuracy is expected of a design (`expectation`).

    The model reads the design as the beginning of its own answer, and writes two decimals.

    Args:
        client: whom to ask.
        place: names the exchange, as its attempt in step 0.
        asked: the question.
        seed: of the sampling, which the expectation does not depend on but for its hundredths.

    Raises:
        SearchStopped: the server is gone.
        UsageError: the server does not hold the model to a form, or refuses.
    """
    begun, held = f"{answer(asked.told)} {BEGUN}", {"regex": DECIMALS}
    exchange = client.complete(0, place, asked.messages, seed, held, weighed=True, begun=begun)
    if expectation(exchange) is None:
        written = (exchange.reply or "").removeprefix(begun)
        raise UsageError(
            f"model {client.model.name} replied {written!r:.60} and was held to two decimals after "
            f"{begun}: only vLLM does that, as path in a model configuration has it"
        )
    return exchange.model_copy(update={"weighed": asked.design})
