"""Which of several answers takes the slot: new, feasible as far as that is free, then the best.

The answer that the model finds likeliest is taken. Where it says the accuracy that it expects, it
is a surrogate of its own: with the exact cost, which screening tells everyone, that gives an
expected reward, and the best by that is taken.
"""

from collections.abc import Collection, Sequence
from statistics import fmean

from cim_sim.evaluate import Evaluation
from cim_sim.space import Design
from search.llm.foreseen import expectation
from search.proposal import Problem, Proposal

Answers = dict[Design, list[Proposal]]
"""The answers that name each design, in the order in which they first came."""


def chosen(
    replies: Sequence[Proposal], problem: Problem, known: Collection[Design], *, value: bool
) -> Proposal:
    """Return one of the replies, with the exchanges of all; a failure only when all of them are.

    Args:
        replies: to one question.
        problem: the task, and its free screening.
        known: designs that have been tried.
        value: whether the replies say the accuracy that they expect. A blind task tells neither
            costs nor reward to weigh it by.
    """
    if len(replies) == 1:
        return replies[0]
    exchanges = tuple(exchange for reply in replies for exchange in reply.exchanges)
    others, answers = len(replies) - 1, _by_design(replies)
    if not answers:
        return Proposal(failure=replies[0].failure, exchanges=exchanges, passed_over=others)
    weighed = value and problem.task.told
    ranks = [
        (*_wanted(one, known), *_worth(one, answers, problem, weighed))
        for one in problem.screen(list(answers))
    ]
    best = list(answers)[ranks.index(max(ranks))]
    return Proposal(best, exchanges=exchanges, passed_over=others)


def _by_design(replies: Sequence[Proposal]) -> Answers:
    answers: Answers = {}
    for reply in replies:
        if reply.design:
            answers.setdefault(reply.design, []).append(reply)
    return answers


def _wanted(free: Evaluation, known: Collection[Design]) -> tuple[bool, bool]:
    """Whether it is new and feasible, and whether it is new: a repeat teaches nobody anything."""
    new = free.design not in known
    return new and free.infeasible is None, new


def _worth(
    free: Evaluation, answers: Answers, problem: Problem, weighed: bool
) -> tuple[bool, float]:
    """Whether the accuracy limit is expected to hold, and the expected reward or how likely."""
    replies = answers[free.design]
    if not weighed:
        return True, max(reply.exchanges[-1].logprob or 0.0 for reply in replies)
    said = [expectation(reply.exchanges[-1]) for reply in replies]
    accuracies = [accuracy for accuracy in said if accuracy is not None]
    if free.cost is None or not accuracies:
        return False, float("-inf")
    accuracy, scenario = fmean(accuracies), problem.scenario
    holds = scenario.limits.accuracy_shortfall(accuracy) <= 0
    return holds, scenario.objective.reward(accuracy, free.cost)
