"""Judgements: a scenario, and many designs, each of which is told alone with its accuracy.

A search that has a model weigh what it might try (`ranked`) asks before there is any result, of one
design at a time. A dialogue has one such answer, and that of a good design; each later accuracy can
be read off the results before it. Here every accuracy has to come from the scenario and the design.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from finetune.dialogues import Dialogue, Turns
from finetune.traces import Trace
from search.llm.history import entry
from search.llm.prompt import render, reply
from search.optimizers.lookup import known_designs
from search.record.tasks import AnyTask

FEWEST = 2
"""Designs of which one can be better than another."""


def judgeable(rows: Sequence[Trace]) -> list[Trace]:
    """Return one trace of each design whose accuracy is known."""
    distinct = {row.evaluation.design: row for row in rows}.values()
    return [row for row in distinct if row.evaluation.accuracy]


def judgements(
    task: AnyTask, rows: Sequence[Trace], turns: Turns, rng: np.random.Generator
) -> Iterator[Dialogue]:
    """Yield judgements about one scenario without end, in which every turn answers the prompt.

    None where fewer than two designs have an accuracy. Nothing is hidden: a search weighs designs
    that it remembers of similar tasks, and so knows what is similar.
    """
    known = judgeable(rows)
    similar = known_designs(task, turns.table, turns.similar)
    prompt = render(
        task.scenario, task.space, [], style="dialogue", similar=similar, value=turns.value
    )
    while len(known) >= FEWEST:
        drawn = [known[int(place)] for place in rng.permutation(len(known))[: turns.judged]]
        said = [reply(entry(row.evaluation), value=True) for row in drawn]
        yield Dialogue(prompt, [{"role": "assistant", "content": one} for one in said], [], drawn)
