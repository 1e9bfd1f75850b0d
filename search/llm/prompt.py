"""THE renderer: what a model is asked, in a search and in every training example.

Four styles. `paper` and `naive` are LCDA's own (see `search.llm.paper`). `codesign`, the default,
also tells the scenario: one fact a line, in fixed sentences, so that a small tokenizer needs few
tokens and a model finds each value at its place. `dialogue` tells it once, and then goes on turn
by turn (see `search.llm.dialogue`).
"""

import json
import re
from collections.abc import Collection, Sequence
from typing import Literal

from cim_sim.config import UsageError
from cim_sim.own import AnyScenario, AnySpace, OwnScenario, OwnSpace
from cim_sim.scenario import Scenario
from cim_sim.space import Design, Parameter, Space, from_wire
from search.llm import dialogue, paper
from search.llm.history import Entry, selection

Message = dict[str, str]
"""`role` and `content`, as chat endpoints take them."""

Style = Literal["codesign", "paper", "naive", "dialogue"]

PAIRS_ONLY: tuple[Style, ...] = ("paper", "naive")
"""Styles that ask for number pairs and thus know no freed hardware."""
CAN_HIDE: tuple[Style, ...] = (*PAIRS_ONLY, "dialogue")
"""Styles that can ask without telling chip, variation, reward and limits."""

PAPER_EXAMPLE = from_wire([[32, 3], [32, 3], [64, 3], [64, 3], [128, 3], [128, 3]])
"""The reply that Algorithm 1 shows."""


def render(
    scenario: AnyScenario,
    space: AnySpace,
    history: Sequence[Entry],
    style: Style = "codesign",
    *,
    hidden: Collection[str] = (),
    similar: Sequence[Design] = (),
    value: bool = False,
) -> list[Message]:
    """Return the conversation that asks for one design; its last turn is the user's.

    Args:
        scenario: what is fixed.
        space: where designs are from.
        history: complete and in the order of episodes; the style chooses what it shows.
        style: one of the four.
        hidden: facts that the style `dialogue` does not tell; the paper's tell none of them anyway.
        similar: designs of similar tasks that the style `dialogue` shows, the nearest task first.
        value: whether each answer of a `dialogue` also says the accuracy that it expects; in a
            problem of the user's own there is none.

    Raises:
        UsageError: the style cannot ask for what the space frees.
    """
    require_style(style, space)
    if style == "dialogue":
        value &= isinstance(space, Space)
        shown = dialogue.shown(history)
        turns = [(reply(one, value=value), result(one)) for one in shown]
        example, known = answer(_example(space)), [answer(design) for design in similar]
        first = dialogue.scenario_text(scenario, space, example, hidden, known)
        first += f"\n{dialogue.VALUE}" if value else ""
        return dialogue.messages(first, turns)
    if style == "codesign":
        system = "You are an expert in the co-design of neural networks and accelerators."
        user = _codesign(scenario, space, history)
        if isinstance(scenario, OwnScenario):
            system = "You are an expert in the exploration of design spaces."
    else:
        assert isinstance(scenario, Scenario)
        assert isinstance(space, Space)
        system = "You are an expert in the field of neural architecture search."
        results = [
            f"{answer(entry.design)} gives a performance of {_score(entry)}" for entry in history
        ]
        example = answer(_example(space))
        user = paper.text(scenario, space, results, example, co_design=style == "paper")
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def require_style(style: Style, space: AnySpace) -> None:
    """Raise UsageError when `style` cannot ask for what `space` frees beside number pairs."""
    free = tuple(space.choices) if isinstance(space, OwnSpace) else space.freed
    if style in PAIRS_ONLY and free:
        raise UsageError(
            f"prompt style {style} asks for number pairs alone, but space {space.name} frees "
            f"{', '.join(free)}: use style codesign"
        )


def answer(design: Design) -> str:
    """Return the exact text of a good reply: the wire format without spaces."""
    return json.dumps(design.wire(), separators=(",", ":"))


def reply(entry: Entry, *, value: bool = False) -> str:
    """Return the answer that names a design.

    Args:
        entry: the design, and what it was found to have.
        value: whether its accuracy follows, which is what a foreseeing answer would have said.
    """
    said = answer(entry.design)
    if not value or entry.accuracy is None:
        return said
    return f"{said} {dialogue.expected(entry.accuracy)}"


def answer_regex(space: AnySpace, *, value: bool = False) -> str:
    """Return a regular expression that matches `answer` of each design of a space, and no more.

    Servers compile it, so it has nothing but groups of alternatives and repetition.

    Args:
        space: whose designs.
        value: whether an expected accuracy follows.
    """
    if isinstance(space, OwnSpace):
        return rf"\{{{_named_regex(space.parameters)}\}}"
    return _design_regex(space) + (dialogue.EXPECTED if value else "")


def _design_regex(space: Space) -> str:
    pair = rf"\[{_choice(space.channels)},{_choice(space.kernels)}\]"
    layers = rf"\[{pair}(,{pair}){{{space.layers - 1}}}\]"
    chosen = _named_regex([Parameter(name, getattr(space.hardware, name)) for name in space.freed])
    return rf'\{{"layers":{layers},"hardware":\{{{chosen}\}}\}}' if chosen else layers


def _named_regex(parameters: Sequence[Parameter]) -> str:
    return ",".join(f'"{one.name}":{_choice(one.choices)}' for one in parameters)


def result(entry: Entry) -> str:
    """Return what the user says to a design in a dialogue: its reward, or why it has none."""
    return entry.fault or f"reward {_score(entry)}"


def retry_message(error: str) -> Message:
    """Return the turn that follows an unusable reply; `error` is the parser's message."""
    text = f"Your answer cannot be used: {error}. Answer again with one design and nothing else."
    return {"role": "user", "content": text}


def _codesign(scenario: AnyScenario, space: AnySpace, history: Sequence[Entry]) -> str:
    if isinstance(scenario, Scenario) and isinstance(space, Space):
        lines = _chip_lines(scenario, space)
    else:
        lines = [
            dialogue.opening(scenario, space),
            *dialogue.facts(scenario, space),
            f"Answer with JSON only, for example {answer(_example(space))}",
        ]
    lines += [
        "Results so far, worst to best:",
        *([_line(entry) for entry in selection(history)] or ["none"]),
        "Give one design that is better than all of these and not among them.",
    ]
    return "\n".join(lines)


def _chip_lines(scenario: Scenario, space: Space) -> list[str]:
    work, image = scenario.workload, scenario.workload.image
    limits = scenario.limits
    area = "none" if limits.area_um2 is None else f"{limits.area_um2 / 1e6:.1f} mm2"
    accuracy = "none" if limits.accuracy is None else f"{limits.accuracy_bar:.3f}"
    return [
        "Choose a convolutional network and, where free, the compute-in-memory chip that runs it.",
        f"Dataset: {work.dataset}, {image.channels}x{image.side}x{image.side}, "
        f"{image.classes} classes.",
        f"Network: {space.layers} convolutions with ReLU, max pool after "
        f"{_join(work.pools_after)}, then fully connected {work.hidden} and {image.classes}.",
        f"Hardware: {_hardware(scenario)}.",
        f"Variation: {_variation(scenario)}.",
        f"Reward: {scenario.objective.words()}; accuracy is measured under the variation.",
        f"Area limit: {area}. Accuracy limit: {accuracy}. A design beyond a limit is infeasible.",
        f"Channels: {_join(space.channels)}. Kernels: {_join(space.kernels)}.",
        *(f"Free {name}: {_join(getattr(space.hardware, name))}." for name in space.freed),
        f"Answer with JSON only, {space.layers} pairs [channels,kernel], "
        f"for example {answer(_example(space))}",
    ]


def _hardware(scenario: Scenario) -> str:
    fixed = scenario.hardware

    def value(name: str) -> str:
        return str(getattr(fixed, name) or "free")

    return (
        f"device {fixed.device}, node {fixed.node_nm} nm, subarray {value('subarray')}, "
        f"cell_bits {value('cell_bits')}, adc_levels {value('adc_levels')}, "
        f"mux {fixed.col_mux}, mapping {value('mapping')}, pad {fixed.pad}"
    )


def _variation(scenario: Scenario) -> str:
    variation, training = scenario.variation, scenario.training_sigma
    if variation.sigma is not None:
        sigma = f"sigma {variation.sigma:.3f} of the largest weight"
    else:
        sigma = f"sigma {variation.written_cell_sigma:.3f} of a cell's range"
    noise = training if training == "matched" else f"sigma {training:.3f}"
    return f"{sigma}, {variation.state_dependence}, training {noise}, adc quantisation on"


def _score(entry: Entry) -> str:
    return "-1" if entry.score is None else f"{entry.score:z.3f}"


def _line(entry: Entry) -> str:
    return f"{answer(entry.design)} {entry.fault or _score(entry)}"


def _example(space: AnySpace) -> Design:
    """The paper's example where the space has it, else widths that grow every second layer.

    Of named parameters the middle choices.
    """
    if isinstance(space, OwnSpace):
        return space.decode([len(parameter.choices) // 2 for parameter in space.parameters])
    if not space.check(PAPER_EXAMPLE):
        return PAPER_EXAMPLE
    widest = len(space.channels) - 1
    kernel = space.kernels.index(3) if 3 in space.kernels else 0
    pairs = [(min(layer // 2, widest), kernel) for layer in range(space.layers)]
    return space.decode([*(index for pair in pairs for index in pair), *(0 for _ in space.freed)])


def _choice(values: Sequence[object]) -> str:
    return f"({'|'.join(re.escape(json.dumps(value)) for value in values)})"


def _join(values: Sequence[object]) -> str:
    return ",".join(str(value) for value in values)
