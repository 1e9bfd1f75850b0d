"""Which of several answers takes the slot: new, feasible as far as that is free, the likeliest.

The accuracy that a model expects of its designs does not rank them: with the exact cost it was no
better on six validation tasks (mean regret .410 against .415 by likelihood, one seed), and it takes
the cost model. Neither is settled by that.
"""

from collections.abc import Collection, Sequence

from cim_sim.space import Design
from search.proposal import Problem, Proposal


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
    others, likely = len(replies) - 1, _likelihoods(replies)
    if not likely:
        return Proposal(failure=replies[0].failure, exchanges=exchanges, passed_over=others)
    designs = list(likely)
    ranks = [
        ((new := design not in known) and free.infeasible is None, new, likely[design])
        for design, free in zip(designs, problem.screen(designs), strict=True)
    ]
    best = designs[ranks.index(max(ranks))]
    return Proposal(best, exchanges=exchanges, passed_over=others)


def _likelihoods(replies: Sequence[Proposal]) -> dict[Design, float]:
    """Log probability of each design; what the server says nothing of comes last."""
    likely: dict[Design, float] = {}
    for reply in replies:
        if reply.design:
            said = reply.exchanges[-1].logprob
            likely.setdefault(reply.design, float("-inf") if said is None else said)
    return likely
