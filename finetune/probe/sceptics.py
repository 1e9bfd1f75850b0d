"""What knows the answers without a model: the nearest training scenarios, and a rule by stratum."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from cim_sim.space import Design
from cim_sim.types import Floats, Indices
from finetune.probe.questions import Drawn, Question, Stratum
from finetune.probe.truth import Kind, compared
from search.record.lookup import LOOKUP_TABLE, read_lookup
from search.record.tasks import Task
from search.transfer import nearest, projected

NEAREST = 5
"""Training scenarios that vote on an answer."""


def looked_up(questions: Sequence[Question]) -> Floats:
    """Answer what is true in the nearest training scenarios, the very ones that `lookup` knows.

    Returns:
        [questions]: 1 the larger kernel, 0 the smaller, .5 where the votes are equal.
    """
    known = [row.task for row in read_lookup(LOOKUP_TABLE)]
    answers = np.full(len(questions), 0.5)
    order = sorted(range(len(questions)), key=lambda place: questions[place].scenario)
    for _, group in groupby(order, key=lambda place: questions[place].scenario):
        places = list(group)
        own = [questions[place] for place in places]
        task = own[0].task
        votes = sum(_votes(own, known[near]) for near in nearest(task, known, NEAREST))
        answers[places] = (np.sign(votes) + 1) / 2
    return answers


def by_rule(questions: Sequence[Question], training: Drawn) -> Floats:
    """Answer what most training pairs of the same stratum say; as `looked_up`.

    Of a stratum that training has not, what most of its pairs say.
    """
    votes: defaultdict[tuple[Kind, Stratum | None], int] = defaultdict(int)
    for kind, clear in training.clear.items():
        for one in clear:
            for stratum in (one.stratum, None):
                votes[kind, stratum] += 1 if one.larger_wins else -1
    keys = [(one.kind, one.stratum) for one in questions]
    best = [votes[key] if key in votes else votes[key[0], None] for key in keys]
    return np.asarray((np.sign(best) + 1) / 2)


def _votes(questions: Sequence[Question], near: Task) -> Floats:
    """Return +1 where the larger kernel is better there, -1 where worse, 0 if nothing is known."""
    smaller = _over_there([one.smaller for one in questions], questions[0].task, near)
    larger = _over_there([one.larger for one in questions], questions[0].task, near)
    advantage = compared(near, smaller, larger).advantage
    own = [advantage[one.kind][place] for place, one in enumerate(questions)]
    return np.asarray(np.sign(np.nan_to_num(own)))


def _over_there(designs: Sequence[Design], task: Task, near: Task) -> Indices:
    rows = np.array([task.space.encode(design) for design in designs], dtype=np.int64)
    return projected(rows, task.space, task.scenario.hardware, near.space)
