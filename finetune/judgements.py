"""Judgements: a scenario, and many designs, each of which is told alone with its accuracy.

A search that has a model weigh what it might try (`ranked`) asks before there is any result, of one
design at a time. A dialogue has one such answer, and that of a good design; each later accuracy can
be read off the results before it. Here every accuracy has to come from the scenario and the design.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from cim_sim.hardware import FreeHardware
from finetune.dialogues import Dialogue, Turns
from finetune.traces import Trace
from search.llm.dialogue import expected
from search.llm.prompt import answer
from search.llm.weighing import question
from search.optimizers.lookup import known_designs
from search.record.tasks import AnyTask, Task

FEWEST = 2
"""Designs of which one can be better than another."""


def judgements(
    task: AnyTask, rows: Sequence[Trace], turns: Turns, rng: np.random.Generator
) -> Iterator[Dialogue]:
    """Yield judgements about one scenario without end, in which every turn answers the prompt.

    Where the chip is free, each lesson is about the designs of one chip, as a search asks; those
    of which more is known come more often. None where no chip has two designs with an accuracy.
    Nothing is hidden: a search weighs designs that it remembers of similar tasks, and so knows what
    is similar.
    """
    chips = list(by_chip(rows).values())
    if not (chips and isinstance(task, Task)):
        return
    similar = known_designs(task, turns.table, turns.similar)
    while True:
        known = _drawn(chips, rng)
        taught = [known[int(place)] for place in rng.permutation(len(known))[: turns.judged]]
        asked = [question(task, row.evaluation.design, similar) for row in taught]
        said = [
            f"{answer(one.told)} {_accuracy(row)}" for one, row in zip(asked, taught, strict=True)
        ]
        completion = [{"role": "assistant", "content": one} for one in said]
        yield Dialogue(asked[0].messages, completion, [], taught)


def by_chip(rows: Sequence[Trace]) -> Mapping[FreeHardware, list[Trace]]:
    """Return traces by the hardware that their designs choose, one of each design.

    Left out are those whose accuracy is not known, and chips with less than two.
    """
    chips: dict[FreeHardware, list[Trace]] = defaultdict(list)
    for row in {row.evaluation.design: row for row in rows}.values():
        if row.evaluation.accuracy:
            chips[row.evaluation.design.hardware].append(row)
    return {chip: known for chip, known in chips.items() if len(known) >= FEWEST}


def _drawn(chips: Sequence[list[Trace]], rng: np.random.Generator) -> list[Trace]:
    """Draw a chip by how many designs are known of it."""
    if len(chips) == 1:
        return chips[0]
    sizes = np.array([len(known) for known in chips])
    return chips[int(rng.choice(len(chips), p=sizes / sizes.sum()))]


def _accuracy(row: Trace) -> str:
    assert row.evaluation.accuracy is not None  # `by_chip` left it out
    return expected(row.evaluation.accuracy.mean)
