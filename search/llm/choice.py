"""Which of several answers takes the slot: new, within the limits, then by expected improvement.

A limit on area and all costs are free to check. Of accuracy the model says what it expects, and so
each answer has an expected reward; the one that promises most beyond the best so far is proposed.
Where no accuracy is said, or the task is blind, it is the likeliest. Where all answers are too
large, the one that is too large by the least goes on: what is proposed stands in the next prompt,
and a model stays near what it sees.
"""

from collections.abc import Collection, Sequence
from statistics import NormalDist
from typing import NamedTuple

from cim_sim.evaluate import Cost, Evaluation
from cim_sim.scenario import Scenario
from cim_sim.space import Design
from search.landscape import NO_FLOORPLAN
from search.llm.foreseen import expectation
from search.proposal import Problem, Proposal
from search.record.tasks import Task
from search.record.trace import Exchange

FORESIGHT = 0.04
"""Standard deviation by which an expected accuracy is taken to be off: what a tuned model reached
on tasks that it was not trained on."""
NOTHING = -1.0
"""Reward of a search without a feasible design: what the paper gives to an infeasible one."""


class Rank(NamedTuple):
    """The greater, the better; compared field by field."""

    new: bool
    area: float
    """Share by which the area exceeds its limit, negated; 0: kept."""
    improvement: float
    """Of the reward beyond the best so far, expected; 0 where no accuracy is."""
    logprob: float


def chosen(
    replies: Sequence[Proposal],
    problem: Problem,
    known: Collection[Design],
    best: float | None = None,
) -> Proposal:
    """Return one of the replies, with the exchanges of all; a failure only when all of them are.

    Args:
        replies: to one question.
        problem: the task, and its free screening.
        known: designs that have been tried: a repeat teaches nobody anything.
        best: highest reward so far; None: nothing was feasible.
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
    target = NOTHING if best is None else best
    ranks = [
        _rank(free, said[free.design], problem, free.design in known, target) for free in screened
    ]
    design = screened[ranks.index(max(ranks))].design
    return Proposal(design, exchanges=exchanges, passed_over=others)


def _rank(free: Evaluation, said: Exchange, problem: Problem, known: bool, target: float) -> Rank:
    excess, improvement = 0.0, 0.0
    if free.infeasible is not None:
        excess = NO_FLOORPLAN
    task = problem.task
    if task.told and isinstance(task, Task) and free.cost is not None:
        excess = max(0.0, task.scenario.limits.area_excess(free.cost.area_um2))
        expected = expectation(said)
        if expected is not None:
            improvement = expected_improvement(task.scenario, free.cost, expected, target)
    likely = float("-inf") if said.logprob is None else said.logprob
    return Rank(not known, -excess, improvement, likely)


def expected_improvement(scenario: Scenario, cost: Cost, accuracy: float, target: float) -> float:
    """Return by how much the reward is expected to exceed `target`, nothing where it does not.

    With accuracy a ~ N(mean, FORESIGHT^2) and only a above the bar counting:
    E[(a - t) 1(a > least)] = (mean - t) Phi(z) + std phi(z), z = (mean - least) / std, where t is
    the accuracy at which the reward is `target`.
    """
    needed = target - scenario.objective.reward(0.0, cost)
    normal = NormalDist()
    z = (accuracy - max(needed, scenario.limits.accuracy_bar)) / FORESIGHT
    return (accuracy - needed) * normal.cdf(z) + FORESIGHT * normal.pdf(z)
