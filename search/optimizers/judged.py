"""What `lookup` recalls, in the order in which somebody's expectations of accuracy promise most.

Costs are exact and free, accuracy is not. Who is asked (`ranked`: a language model, `boosted`: a
regression) says once what to expect of each recalled design; that is the first belief. How far it
was off where results have come in corrects it elsewhere, by a Gaussian process over the errors, and
the greatest expected improvement is next.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from cim_sim.evaluate import INFEASIBLE_REWARD
from cim_sim.space import Design
from cim_sim.types import Floats, Indices
from search.landscape import prices
from search.optimizers.acquisition import Belief, log_improvement
from search.optimizers.informed import Spreads, deviation
from search.optimizers.lookup import drawn
from search.proposal import Problem, Proposal
from search.record.trace import Exchange, Trial

ERROR = 0.06
"""Standard deviation by which a tuned model's first expectation is off, on tasks it did not see."""
SPREADS = Spreads(constant=0.04, trend=0.02, bump=0.04)
"""Of those errors: for all designs together, per feature, and of a smooth deviation from that."""
RECALLED = 64
"""Designs that are weighed: the first ones of `lookup` that are feasible for free."""


class Expected(NamedTuple):
    """What is expected of the recalled designs before any result."""

    accuracy: Floats
    """[designs]"""
    exchanges: tuple[Exchange, ...] = ()
    """With whom it was talked about."""


class Judged:
    """Proposes recalled designs by expected improvement; when they are at an end, random ones."""

    def __init__(self, problem: Problem, rows: Indices, asked: Callable[[], Expected]) -> None:
        """`rows` are what is weighed, [designs, parameters]; `asked` is called once, late."""
        self._problem, self._rows, self._ask = problem, rows, asked
        self._price = prices(problem.scenario, problem.chip.space, rows)
        self._expected: Floats | None = None
        """Accuracy, [designs]; None: not asked yet."""
        self._left = np.ones(len(rows), dtype=bool)
        """Of the recalled designs those that nobody tried, [designs]."""
        self._found: dict[int, float] = {}
        """Accuracies by place."""
        self._best = INFEASIBLE_REWARD
        self._step = 0

    def suggest(self, count: int) -> list[Proposal]:
        """Return the next designs; within a batch the second best follows the best.

        Raises:
            SearchStopped, UsageError: as who is asked for expectations.
        """
        exchanges: tuple[Exchange, ...] = ()
        if self._expected is None:
            self._expected, exchanges = self._ask() if len(self._rows) else Expected(np.empty(0))
        proposals = []
        for design in self._next(count):
            proposals.append(Proposal(design, exchanges=exchanges))
            exchanges = ()
        return proposals

    def update(self, trials: Sequence[Trial]) -> None:
        """Learn how far the expectations were off, also of designs that somebody else tried."""
        places = {row.tobytes(): place for place, row in enumerate(self._rows)}
        for trial in trials:
            self._best = max(self._best, trial.score)
            row = np.array(self._problem.space.encode(trial.design)) if trial.design else None
            place = None if row is None else places.get(row.tobytes())
            if place is not None:
                self._left[place] = False
                if trial.evaluation and trial.evaluation.accuracy:
                    self._found[place] = trial.evaluation.accuracy.mean

    def _next(self, count: int) -> Iterator[Design]:
        space, order = self._problem.chip.space, np.argsort(-self._promise(), kind="stable")
        chosen = [place for place in order if self._left[place]][:count]
        for place in chosen:
            self._left[place] = False
            yield space.decode(self._rows[place].tolist())
        self._step += count
        for step in range(self._step - count + len(chosen), self._step):
            yield drawn(self._problem, step)

    def _promise(self) -> Floats:
        """Return the log of the expected improvement, [designs]."""
        return log_improvement(self._problem.scenario, self._price, self._belief(), self._best)

    def _belief(self) -> Belief:
        assert self._expected is not None
        if not self._found:
            return Belief(self._expected, np.full(len(self._rows), ERROR))
        tried = np.array(list(self._found), dtype=np.int64)
        errors = np.array(list(self._found.values())) - self._expected[tried]
        off = deviation(self._problem, self._rows[tried], errors, self._rows, SPREADS)
        return Belief(self._expected + off.mean, off.std)
