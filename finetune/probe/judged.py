"""What follows from the accuracies that a model expects, with the costs that anybody can compute.

So a search asks it (`search/optimizers/ranked.py`): of one design at a time, and costs are exact.
Latency and utilisation are costs, of which nothing has to be expected.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import numpy as np

from cim_sim.progress import counted
from cim_sim.space import Design
from cim_sim.types import Floats
from finetune.probe.questions import Question
from finetune.probe.truth import Kind, advantages, values_of
from search.llm.client import Client
from search.llm.foreseen import expectation
from search.llm.weighing import Question as Asked
from search.llm.weighing import question, weigh
from search.optimizers.lookup import known_designs
from search.optimizers.ranked import Settings

EXPECTED: tuple[Kind, ...] = ("accuracy", "reward", "feasible")
"""Matters in which accuracy has a part."""

Side = tuple[int, Design]
"""Number of the scenario, and one design of a question."""


def judged(client: Client, questions: Sequence[Question]) -> Floats:
    """Answer by the accuracies that the model expects of both designs.

    Returns:
        [questions]: 1 the larger kernel, 0 the smaller, .5 where they are equally good.

    Raises:
        SearchStopped: the server is gone.
        UsageError: it does not hold a reply to a form, which only vLLM does.
    """
    tasks = {one.scenario: one.task for one in questions}
    own = [one for one in questions if one.kind in EXPECTED]
    sides = list(dict.fromkeys((one.scenario, design) for one in own for design in _both(one)))
    settings = Settings(model=client.model)
    similar = {
        number: known_designs(tasks[number], settings.table, settings.similar)
        for number in {one for one, _ in sides}
    }

    def asked(side: Side) -> Asked:
        number, design = side
        return question(tasks[number], design, similar[number])

    with ThreadPoolExecutor(client.model.concurrency) as pool:
        exchanges = pool.map(
            lambda place, side: weigh(client, place, asked(side), seed=0),
            range(len(sides)),
            sides,
        )
        with counted("designs", len(sides)) as step:
            expected: dict[Side, float] = {}
            for side, exchange in zip(sides, exchanges, strict=True):
                accuracy = expectation(exchange)
                assert accuracy is not None  # else `weigh` had raised
                expected[side] = accuracy
                step(tasks[side[0]].scenario.name)
    low, high = (
        np.array([expected.get((one.scenario, _both(one)[side]), 0.5) for one in questions])
        for side in (0, 1)
    )
    return answered(questions, low, high)


def by_cost(questions: Sequence[Question], larger: float = 0.0) -> Floats:
    """Answer as one to whom the larger kernel is always more accurate by so much; as `judged`."""
    level = np.full(len(questions), 0.5)
    return answered(questions, level, level + larger)


def answered(questions: Sequence[Question], low: Floats, high: Floats) -> Floats:
    """Answer by exact costs and the accuracies that are expected of both designs, [questions]."""
    answers = np.full(len(questions), 0.5)
    order = sorted(range(len(questions)), key=lambda place: questions[place].scenario)
    for _, group in groupby(order, key=lambda place: questions[place].scenario):
        places = list(group)
        own = [questions[place] for place in places]
        smaller, larger = (
            values_of(
                own[0].task,
                np.array([one.task.space.encode(_both(one)[side]) for one in own]),
                accuracy[places],
            )
            for side, accuracy in enumerate((low, high))
        )
        better = advantages(smaller, larger)
        # Of two chips that may be built the one that keeps the least accuracy is the more accurate.
        better["feasible"] = np.where(
            smaller.allowed & larger.allowed,
            better["accuracy"],
            larger.allowed.astype(float) - smaller.allowed,
        )
        signs = [np.sign(better[one.kind][place]) for place, one in enumerate(own)]
        answers[places] = (np.array(signs) + 1) / 2
    return answers


def _both(question: Question) -> tuple[Design, Design]:
    return question.smaller, question.larger
