"""Question sets on which no fixed rule does better than a coin.

A question shows a design in which the kernel of one layer is open, and names two for it. A stratum
is a layer, a pair of kernels, an objective and a mapping. Within each the questions come in fours:
the larger kernel is right in two and wrong in two, and in one of each it is named first. So every
rule that looks at stratum and order alone is right in half of them. A stratum that cannot give
four is left out, and what that costs is counted.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count, islice, zip_longest
from typing import NamedTuple

import numpy as np

from cim_sim.config import Config, UsageError
from cim_sim.space import Design, Space
from cim_sim.types import Indices
from finetune.probe.truth import KINDS, Kind, compared
from search.landscape import draw
from search.record.tasks import Task

PAIRS = 4000
"""Pairs of designs that are drawn in each scenario: some answers are rare."""


class Stratum(NamedTuple):
    """What a rule might look at without knowing the scenario."""

    layer: int
    """From 0."""
    small: int
    large: int
    metric: str
    mapping: str


class Clear(NamedTuple):
    """A pair of designs that clearly differ in one matter."""

    scenario: int
    """Number among the tasks; questions of one scenario belong together."""
    pair: int
    stratum: Stratum
    larger_wins: bool


class Question(NamedTuple):
    """A pair of designs, and what is asked about them."""

    kind: Kind
    task: Task
    scenario: int
    stratum: Stratum
    smaller: Design
    larger: Design
    larger_wins: bool
    larger_first: bool
    """Whether the larger kernel is named first."""


class Pairs(NamedTuple):
    """Pairs of one task: populations that differ in one kernel, and in which layer."""

    smaller: Indices
    larger: Indices
    layer: Indices
    """From 0, [pairs]."""


class Drawn(NamedTuple):
    """All pairs of some tasks, and the clear ones of each kind."""

    tasks: Sequence[Task]
    pairs: Sequence[Pairs]
    clear: dict[Kind, list[Clear]]


class Dropped(Config):
    """What balance costs."""

    strata: int
    """In which all answers are equal, or nearly."""
    pairs: int
    """Clear ones in these strata."""


def drawn(tasks: Sequence[Task], seed: int) -> Drawn:
    """Draw pairs in every task and compare them.

    Raises:
        UsageError: nothing is told of a task.
    """
    if not all(task.told for task in tasks):
        raise UsageError(
            "split blind: nothing is told of its scenarios, so nothing can be asked about them; "
            "choose another --split"
        )
    pairs = [
        pairs_of(task.space, np.random.default_rng([seed, number]))
        for number, task in enumerate(tasks)
    ]
    clear: dict[Kind, list[Clear]] = {kind: [] for kind in KINDS}
    for number, (task, one) in enumerate(zip(tasks, pairs, strict=True)):
        truth = compared(task, one.smaller, one.larger)
        strata = list(_strata(task, one))
        for kind in KINDS:
            clear[kind] += [
                Clear(number, row, strata[row], bool(truth.advantage[kind][row] > 0))
                for row in np.flatnonzero(truth.clear[kind]).tolist()
            ]
    return Drawn(tasks, pairs, clear)


def pairs_of(space: Space, rng: np.random.Generator) -> Pairs:
    """Draw designs, and give one layer of each a smaller and a larger kernel."""
    smaller, rows, kernels = draw(space, PAIRS, rng), np.arange(PAIRS), len(space.kernels)
    layer, one = rng.integers(space.layers, size=PAIRS), rng.integers(kernels, size=PAIRS)
    other = (one + rng.integers(1, kernels, size=PAIRS)) % kernels
    larger = smaller.copy()
    smaller[rows, 2 * layer + 1] = np.minimum(one, other)
    larger[rows, 2 * layer + 1] = np.maximum(one, other)
    return Pairs(smaller, larger, layer)


def balanced(found: Drawn, kind: Kind, most: int, seed: int) -> tuple[list[Question], Dropped]:
    """Choose at most so many questions of a kind, from as many strata as there are.

    Returns:
        the questions, and what was left out because its stratum cannot be balanced.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    strata = _by_stratum(found.clear[kind])
    fours = [list(_fours(members, rng)) for members in strata]
    lost = [len(members) for members, own in zip(strata, fours, strict=True) if not own]
    order = rng.permutation(len(fours))
    turns = zip_longest(*(fours[place] for place in order))  # each stratum in turn
    chosen = islice((four for turn in turns for four in turn if four), most // 4)
    questions = [
        _question(found, kind, one, larger_first=place % 2 == 0)
        for four in chosen
        for place, one in enumerate(four)
    ]
    return questions, Dropped(strata=len(lost), pairs=sum(lost))


def _strata(task: Task, pairs: Pairs) -> Iterator[Stratum]:
    """Yield the stratum of each pair; where the mapping is free, it is the design's own."""
    space, fixed = task.space, task.scenario.hardware.mapping
    names = [parameter.name for parameter in space.parameters]
    place = names.index("hardware.mapping") if fixed is None else 0
    for small, large, layer in zip(*pairs, strict=True):
        mapping = fixed or space.hardware.mapping[small[place]]
        kernel, other = (space.kernels[row[2 * layer + 1]] for row in (small, large))
        yield Stratum(int(layer), kernel, other, task.scenario.objective.metric, mapping)


def _by_stratum(clear: Sequence[Clear]) -> list[list[Clear]]:
    strata: defaultdict[Stratum, list[Clear]] = defaultdict(list)
    for one in clear:
        strata[one.stratum].append(one)
    return [strata[stratum] for stratum in sorted(strata)]


def _spread(clear: Sequence[Clear], rng: np.random.Generator) -> list[Clear]:
    """Shuffle, so that scenarios come in turn: each once before any comes twice."""
    counts: defaultdict[int, Iterator[int]] = defaultdict(count)
    shuffled = [clear[place] for place in rng.permutation(len(clear))]
    turns = [next(counts[one.scenario]) for one in shuffled]
    return [shuffled[place] for place in np.argsort(turns, kind="stable")]


def _fours(members: Sequence[Clear], rng: np.random.Generator) -> Iterator[list[Clear]]:
    """Yield what a stratum gives: two that the larger kernel wins, and two that it loses."""
    wins, losses = (
        _spread([one for one in members if one.larger_wins == larger], rng)
        for larger in (True, False)
    )
    for start in range(0, min(len(wins), len(losses)) - 1, 2):
        yield [*wins[start : start + 2], *losses[start : start + 2]]


def _question(found: Drawn, kind: Kind, one: Clear, larger_first: bool) -> Question:
    task, pairs = found.tasks[one.scenario], found.pairs[one.scenario]
    smaller, larger = (
        task.space.decode(side[one.pair].tolist()) for side in (pairs.smaller, pairs.larger)
    )
    return Question(
        kind, task, one.scenario, one.stratum, smaller, larger, one.larger_wins, larger_first
    )
