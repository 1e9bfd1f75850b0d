"""Dialogues: one sequence that teaches at several turns, of which the poor designs teach nothing.

A sequence is what a search in the style `dialogue` would have sent: the scenario, none to a few
poor designs with their results, then good designs, each new, each with its result. The poor ones
stand in the prompt and carry no loss, since the model should answer them, not give them. In half of
the dialogues they are what a search proposed, or would that follows the similar designs it is
shown: a model meets its own mistakes, not random ones (as in DAgger, Ross et al. 2011). Where the
scenario is told completely, it alone decides what is best and nobody need read a result; so in a
share of the dialogues some facts, or all, are hidden.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from cim_sim.config import Config
from cim_sim.space import Design
from finetune.targets import RECALLED
from finetune.traces import Trace
from search.llm.dialogue import LONGEST, hideable
from search.llm.history import Entry, entry
from search.llm.prompt import Message, render
from search.optimizers.lookup import known_designs
from search.record.lookup import LOOKUP_TABLE
from search.record.tasks import AnyTask

FOLLOWED = 0.5
"""Share of dialogues whose poor designs follow the similar ones."""


class Dialogue(NamedTuple):
    """The parts of one sequence; a single question is one with a single answer."""

    prompt: list[Message]
    """Scenario, and poor designs with their results."""
    completion: list[Message]
    """Good designs, which are taught, and between them their results."""
    poor: list[Entry]
    taught: list[Trace]
    hidden: tuple[str, ...] = ()
    """What of the scenario is not told."""


class Turns(Config):
    """How many turns a dialogue has."""

    poor: Annotated[int, Field(ge=0, le=100)] = 3
    """At most so many poor designs; each number from none on is as frequent."""
    answers: Annotated[int, Field(ge=1, le=100)] = 5
    """Designs that are taught, as far as the scenario has so many good ones."""
    good: Annotated[int, Field(ge=1, le=1000)] = 6
    """They are drawn from so many of the best."""
    hidden: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of dialogues that hide facts: all of them in a third, else at least one."""
    similar: Annotated[int, Field(ge=0)] = 0
    """Designs of similar tasks that are shown, as a search shows them; none where facts are hidden,
    since whoever finds what is similar knows them."""
    table: Path = LOOKUP_TABLE
    """Where those are looked up."""
    misled: Annotated[int, Field(ge=1, le=1000)] = 1
    """Times as many dialogues about a task in which the first similar design is not feasible."""
    value: bool = False
    """Whether each answer also says the accuracy that its design has."""
    judged: Annotated[int, Field(ge=0, le=1000)] = 0
    """In a dialogue's place so many designs, each a first answer of its own (`judgements.py`); 0:
    dialogues."""

    @model_validator(mode="after")
    def _says_what_is_judged(self) -> Self:
        if self.judged and not self.value:
            raise ValueError("judged teaches the accuracy of each design: set value to true")
        if not self.judged and self.poor + self.answers >= LONGEST:
            raise ValueError(
                f"poor and answers are at most {LONGEST - 1} designs together: with more, a "
                "dialogue begins anew (search/llm/dialogue.py)"
            )
        if self.judged == 1:
            raise ValueError("judged teaches the order of designs: set it to 2 or more, or to 0")
        return self


def dialogues(
    task: AnyTask, rows: Sequence[Trace], turns: Turns, rng: np.random.Generator
) -> Iterator[Dialogue]:
    """Yield dialogues about one scenario without end; none where no design is feasible."""
    distinct = {row.evaluation.design: row for row in rows}.values()
    feasible = sorted(
        (row for row in distinct if row.evaluation.reward is not None),
        key=lambda row: row.evaluation.score,
    )
    barred = [row for row in distinct if row.evaluation.infeasible is not None]
    # At least one feasible design is left to be poor, where there are two.
    good = feasible[-min(turns.good, max(1, len(feasible) - 1)) :]
    poor = [*feasible[: len(feasible) - len(good)], *barred]
    recalled = known_designs(task, turns.table, RECALLED) if feasible else []
    similar = recalled[: turns.similar]
    followed = [row for row in poor if row.source == "run" or _follows(row, recalled, task)]
    while feasible:
        taught = _drawn(good, min(turns.answers, len(good)), rng)
        pool = followed if followed and rng.random() < FOLLOWED else poor
        shown = _drawn(pool, int(rng.integers(turns.poor + 1)), rng)
        hidden = _hidden(turns.hidden, hideable(task.scenario), rng)
        told = partial(
            render,
            task.scenario,
            task.space,
            style="dialogue",
            hidden=hidden,
            similar=() if hidden else similar,
            value=turns.value,
        )
        yield _dialogue(told, shown, taught, hidden)


def repeats(task: AnyTask, rows: Sequence[Trace], turns: Turns) -> int:
    """Times as many dialogues a task gets: more where a lookup's first design is not feasible."""
    first = known_designs(task, turns.table, 1)
    fails = any(row.evaluation.design in first and row.evaluation.reward is None for row in rows)
    return turns.misled if fails else 1


def _follows(row: Trace, recalled: Sequence[Design], task: AnyTask) -> bool:
    """Whether a design is one of those recalled, or differs from one in two choices at most."""
    chosen = np.array(task.space.encode(row.evaluation.design))
    changes = [np.sum(chosen != np.array(task.space.encode(one))) for one in recalled]
    return bool(changes) and min(changes) <= 2


def _dialogue(
    told: Callable[[list[Entry]], list[Message]],
    poor: Sequence[Trace],
    taught: Sequence[Trace],
    hidden: tuple[str, ...],
) -> Dialogue:
    """Render with the search's own renderer, and cut before the first design that is taught."""
    before, after = ([entry(row.evaluation) for row in rows] for rows in (poor, taught))
    prompt, whole = told(before), told([*before, *after])
    # The result of the last design is left out: nothing follows that would be taught by it.
    return Dialogue(prompt, whole[len(prompt) : -1], before, list(taught), hidden)


def _hidden(share: float, facts: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
    if rng.random() >= share:
        return ()
    if len(facts) == 1 or rng.random() < 1 / 3:
        return tuple(facts)
    places = rng.permutation(len(facts))[: rng.integers(1, len(facts))]
    return tuple(facts[int(place)] for place in sorted(places))


def _drawn(rows: Sequence[Trace], count: int, rng: np.random.Generator) -> list[Trace]:
    return [rows[int(place)] for place in rng.permutation(len(rows))[:count]]
