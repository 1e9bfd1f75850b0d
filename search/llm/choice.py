"""Which of several answers takes the slot: new, within the limits, and then the likeliest.

A limit on area is free to check. Of accuracy the model says what it expects, and an answer that it
expects to fail is not proposed while another is not. Where all answers are too large, the one that
is too large by the least goes on: what is proposed stands in the next prompt, and a model stays
near what it sees.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from cim_sim.evaluate import Evaluation
from cim_sim.space import Design
from search.landscape import NO_FLOORPLAN
from search.llm.foreseen import expectation
from search.proposal import Problem, Proposal
from search.record.tasks import Task
from search.record.trace import Exchange


class Rank(NamedTuple):
    """The greater, the better; compared field by field."""

    new: bool
    area: float
    """Share by which the area exceeds its limit, negated; 0: kept."""
    accuracy: float
    """How far the expected accuracy is below its bar, negated; 0: kept, or nothing is expected."""
    logprob: float


def chosen(replies: Sequence[Proposal], problem: Problem, known: Collection[Design]) -> Proposal:
    """Return one of the replies, with the exchanges of all; a failure only when all of them are.

    Args:
        replies: to one question.
        problem: the task, and its free screening.
        known: designs that have been tried: a repeat teaches nobody anything.
    """
    if len(replies) == 1:
        return replies[0]
    exchanges = tuple(exchange for reply in replies for exchange in reply.exchanges)
    said: dict[Design, Exchange] = {}
    for reply in replies:
        if reply.design:
            said.setdefault(reply.design, reply.exchanges[-1])
    others = len(replies) - 1
    if not said:
        return Proposal(failure=replies[0].failure, exchanges=exchanges, passed_over=others)
    screened = problem.screen(list(said))
    ranks = [_rank(free, said[free.design], problem, free.design in known) for free in screened]
    best = screened[ranks.index(max(ranks))].design
    return Proposal(best, exchanges=exchanges, passed_over=others)


def _rank(free: Evaluation, said: Exchange, problem: Problem, known: bool) -> Rank:
    excess, shortfall = 0.0, 0.0
    if free.infeasible is not None:
        excess = NO_FLOORPLAN
    task = problem.task
    if task.told and isinstance(task, Task):
        limits, expected = task.scenario.limits, expectation(said)
        if free.cost is not None:
            excess = max(0.0, limits.area_excess(free.cost.area_um2))
        if expected is not None:
            shortfall = max(0.0, limits.accuracy_shortfall(expected))
    likely = float("-inf") if said.logprob is None else said.logprob
    return Rank(not known, -excess, -shortfall, likely)
