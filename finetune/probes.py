"""What a model believes about kernels, against what the simulator says, scenario by scenario.

A question is two designs that differ in the kernel of one layer; the model prefers the one that
it finds likelier as the first answer in that scenario. Right is the design with the clearly higher
reward: exact cost, accuracy by the surrogate. Half of the questions are won by the larger kernel,
so that "always smaller" and "always larger" both score one half.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cim_sim.config import Config
from cim_sim.space import Design, Space
from finetune.inference import encode, token_logprobs
from search.evaluators import build
from search.landscape import draw
from search.llm.prompt import answer, render
from search.record.manifest import Judge
from search.record.tasks import Task
from search.stats import Interval, bootstrap_groups

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CLEAR = 0.02
"""Least difference in reward of the two designs."""
PAIRS = 40
"""Pairs that are drawn in each scenario, from which clear ones are chosen."""


class Question(NamedTuple):
    """Two designs in one scenario that differ in one kernel."""

    task: Task
    smaller: Design
    larger: Design
    larger_wins: bool


class Beliefs(Config):
    """Shares of right answers; `balanced` is the mean of the two, .5 for any fixed rule."""

    questions: int
    balanced: Interval
    """With its bootstrap interval over scenarios, `n` of them."""
    right_where_larger_wins: float
    right_where_smaller_wins: float


def balanced(tasks: Sequence[Task], count: int, seed: int = 0) -> list[Question]:
    """Draw clear questions from all scenarios in turn, half of them won by the larger kernel."""
    drawn = [
        list(_questions(task, np.random.default_rng([seed, number])))
        for number, task in enumerate(tasks)
    ]
    kinds: dict[bool, list[Question]] = {True: [], False: []}
    for place in range(PAIRS):
        for questions in drawn:
            if place < len(questions):
                kinds[questions[place].larger_wins].append(questions[place])
    half = min(count // 2, *map(len, kinds.values()))
    return [question for kind in kinds.values() for question in kind[:half]]


def ask(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", asked: Sequence[Question]
) -> Beliefs:
    """Compare the log-likelihood of both answers to each question."""
    right = np.array([_prefers_larger(model, tokenizer, q) == q.larger_wins for q in asked])
    larger = np.array([question.larger_wins for question in asked])
    balanced = bootstrap_groups(
        lambda rows: _balanced(right[rows], larger[rows]),
        [question.task.scenario.digest for question in asked],
        np.random.default_rng(0),
        resamples=1000,
    )
    rounded = {key: value and round(value, 4) for key, value in balanced}
    return Beliefs(
        questions=len(asked),
        balanced=Interval.model_validate(rounded),
        right_where_larger_wins=round(float(right[larger].mean()), 4),
        right_where_smaller_wins=round(float(right[~larger].mean()), 4),
    )


def _questions(task: Task, rng: np.random.Generator) -> Iterator[Question]:
    """Yield the clear ones of the pairs drawn in one scenario."""
    pairs = [_pair(task.space, rng) for _ in range(PAIRS)]
    designs = [design for pair in pairs for design in pair]
    evaluator = build(task.scenario, task.space, Judge(evaluator="surrogate"))
    scores = [evaluation.score for evaluation in evaluator.evaluate(designs)]
    for (smaller, larger), low, high in zip(pairs, scores[::2], scores[1::2], strict=True):
        if abs(high - low) >= CLEAR:
            yield Question(task, smaller, larger, high > low)


def _pair(space: Space, rng: np.random.Generator) -> tuple[Design, Design]:
    """Draw a design, and give one layer of it a smaller and a larger kernel."""
    (indices,) = draw(space, 1, rng)
    place = 2 * int(rng.integers(space.layers)) + 1
    small, large = sorted(rng.choice(len(space.kernels), 2, replace=False))
    smaller, larger = indices.copy(), indices.copy()
    smaller[place], larger[place] = small, large
    return space.decode(smaller.tolist()), space.decode(larger.tolist())


def _prefers_larger(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", question: Question
) -> bool:
    prompt = render(question.task.scenario, question.task.space, [])
    likelihoods = [
        sum(token_logprobs(model, *encode(tokenizer, prompt, answer(design))))
        for design in (question.smaller, question.larger)
    ]
    return likelihoods[1] > likelihoods[0]


def _balanced(right: np.ndarray, larger: np.ndarray) -> float:
    """Mean of both shares of right answers; NaN where one kind of question is absent."""
    if larger.all() or not larger.any():
        return float("nan")
    return float((right[larger].mean() + right[~larger].mean()) / 2)
