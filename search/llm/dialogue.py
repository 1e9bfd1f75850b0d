"""The style `dialogue`: the scenario once, then design and result turn by turn.

Each step adds two short turns to what was sent before, so a server's prefix cache computes some
50 new tokens instead of a whole prompt, and one training sequence teaches at every good turn. The
scenario is told in as few tokens as its facts allow, with numbers that a tokenizer of single
digits takes well. Facts may be hidden: a blind task hides all of them, and a model that has been
taught with some hidden learns to read results instead. Designs of similar tasks may be shown: what
a lookup would propose, for the model to take, or to alter where this task is different.
"""

from collections.abc import Collection, Iterable, Sequence

from cim_sim.hardware import FREEABLE
from cim_sim.own import AnyScenario, AnySpace, OwnScenario, OwnSpace
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from cim_sim.workload import Workload
from search.llm.history import Entry, best

FACTS = ("chip", "variation", "reward", "limits")
"""What of a scenario can be hidden; what the space offers is always told."""
REWARD = "Reward"
"""Likewise of a scenario of the user's own, beside its facts."""

LONGEST = 24
"""A conversation that would show so many designs begins anew."""
KEPT = 6
"""Designs, the best so far, with which it then begins."""


VALUE = "Add the accuracy that you expect."
"""Asks for `expected` after the design."""
BEGUN = "accuracy 0."
"""How `expected` begins."""
DECIMALS = "[0-9][0-9]"
"""Regular expression of what follows."""
EXPECTED = rf" accuracy 0\.{DECIMALS}"
"""Regular expression of all of it, with the blank before."""


def expected(accuracy: float) -> str:
    """Return how an answer says an accuracy; hundredths tell networks apart as far as seeds do."""
    return f"accuracy {min(accuracy, 0.99):.2f}"


def messages(first: str, turns: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Return the conversation: the first user message, then `turns` of (design, result)."""
    found = [{"role": "user", "content": first}]
    for design, result in turns:
        found += [{"role": "assistant", "content": design}, {"role": "user", "content": result}]
    return found


def shown(history: Sequence[Entry]) -> list[Entry]:
    """Return the designs that a conversation shows, in its order, each outcome once.

    Where there would be too many, a new conversation begins: with the best so far, worst first,
    and then what came after them. Until it begins anew, a conversation only grows.
    """
    once = list(dict.fromkeys(history))
    if len(once) < LONGEST:
        return once
    begun = len(once) - (len(once) - LONGEST) % (LONGEST - KEPT)
    return [*best(once[:begun], KEPT), *once[begun:]]


def hideable(scenario: AnyScenario) -> tuple[str, ...]:
    """Return the names of all that can be hidden of a scenario."""
    return (*scenario.facts, REWARD) if isinstance(scenario, OwnScenario) else FACTS


def scenario_text(
    scenario: AnyScenario,
    space: AnySpace,
    example: str,
    hidden: Collection[str] = (),
    similar: Sequence[str] = (),
) -> str:
    """Return the first user message; `example` is a design of the space in the wire format.

    Designs of similar tasks, in the same format, take the example's place.

    What is the same in nearly all scenarios (backbone, even variation, training at the tested
    noise) is told only where it is different, so that two scenarios have one text only if they
    are one problem.
    """
    lines = [
        opening(scenario, space),
        *facts(scenario, space, hidden),
        f"Similar tasks chose {' '.join(similar)}" if similar else f"Answer like {example}",
    ]
    return "\n".join(lines)


def opening(scenario: AnyScenario, space: AnySpace) -> str:
    """Say what is to be chosen."""
    if isinstance(scenario, OwnScenario):
        return f"Choose {scenario.choose}."
    freed = isinstance(space, Space) and space.freed
    return f"Choose a CNN {'and its' if freed else 'for this'} compute-in-memory chip."


def facts(scenario: AnyScenario, space: AnySpace, hidden: Collection[str] = ()) -> list[str]:
    """Return what is told of a scenario and of what is free, one matter a line."""
    if isinstance(scenario, OwnScenario) and isinstance(space, OwnSpace):
        return _own_facts(scenario, space, hidden)
    assert isinstance(scenario, Scenario)
    assert isinstance(space, Space)
    known = {
        "chip": _chip(scenario),
        "variation": ", ".join(_variation(scenario)),
        "reward": scenario.objective.words(),
        "limits": _limits(scenario),
    }
    return [
        f"Data: {_data(scenario.workload)}.",
        f"Network: {', '.join(_network(scenario.workload, space))}.",
        *(
            f"{name.capitalize()}: {'unknown' if name in hidden else text}."
            for name, text in known.items()
        ),
        *_free(space),
    ]


def _own_facts(scenario: OwnScenario, space: OwnSpace, hidden: Collection[str]) -> list[str]:
    known = {**scenario.facts, REWARD: scenario.objective}
    told = (f"{name}: {'unknown' if name in hidden else text}." for name, text in known.items())
    return [*told, f"Free: {space.words}."]


def _data(work: Workload) -> str:
    image = work.image
    return f"{work.dataset} {image.channels}x{image.side}x{image.side}, {image.classes} classes"


def _network(work: Workload, space: Space) -> list[str]:
    usual = Workload()
    told = [f"{space.layers} convolutions", f"channels {_join(space.channels)}"]
    told.append(f"kernels {_join(space.kernels)}")
    if work.pools_after != usual.pools_after:
        told.append(f"pool after {_join(work.pools_after) or 'none'}")
    if work.hidden != usual.hidden:
        told.append(f"dense {work.hidden}")
    return told


def _free(space: Space) -> list[str]:
    told = [f"{name} {_join(getattr(space.hardware, name))}" for name in space.freed]
    return [f"Free: {'; '.join(told)}."] if told else []


def _chip(scenario: Scenario) -> str:
    """Tell what is fixed; what is free follows in a line of its own."""
    fixed = scenario.hardware
    values = {name: getattr(fixed, name) for name in FREEABLE}
    told = [f"{name} {value}" for name, value in values.items() if value is not None]
    told += [f"mux {fixed.col_mux}", *([f"pad {fixed.pad}"] if fixed.pad != "same" else [])]
    return ", ".join([f"{fixed.device} {fixed.node_nm} nm", *told])


def _variation(scenario: Scenario) -> list[str]:
    variation, training = scenario.variation, scenario.training_sigma
    if variation.sigma is not None:
        told = [f"weight sigma {_number(variation.sigma, 3)}"]
    else:
        told = [f"cell sigma {_number(variation.written_cell_sigma, 3)}"]
    if variation.state_dependence != "uniform":
        told.append(variation.state_dependence)
    if training != "matched":
        told.append(f"training {_number(training, 3)}")
    return told


def _limits(scenario: Scenario) -> str:
    limits = scenario.limits
    area = "none" if limits.area_um2 is None else f"{_number(limits.area_um2 / 1e6, 1)} mm2"
    accuracy = "none" if limits.accuracy is None else _number(limits.accuracy_bar, 3)
    return f"area {area}, accuracy {accuracy}"


def _number(value: float, decimals: int) -> str:
    """Leave out zeros at the end: each would be a token."""
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".")


def _significant(value: float) -> str:
    """Four significant digits, never with an exponent."""
    return _number(float(f"{value:.4g}"), 6)


def _join(values: Sequence[object]) -> str:
    return ",".join(map(str, values))
