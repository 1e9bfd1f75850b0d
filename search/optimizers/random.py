"""Uniform sampling of the space: the baseline that every comparison holds."""

from collections.abc import Sequence

from cim_sim.config import Config
from search.landscape import draw
from search.proposal import Problem, Proposal
from search.record.trace import Trial


class Settings(Config):
    """Random sampling has nothing to set."""


class RandomOptimizer:
    """Draws every parameter uniformly, each proposal from its own stream."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self._problem = problem
        self._step = 0

    def suggest(self, count: int) -> list[Proposal]:
        """Propose `count` designs, with replacement."""
        return [self._draw() for _ in range(count)]

    def update(self, trials: Sequence[Trial]) -> None:
        """Learn nothing."""

    def _draw(self) -> Proposal:
        space, rng = self._problem.space, self._problem.generator("random", self._step)
        self._step += 1
        return Proposal(space.decode(draw(space, 1, rng)[0].tolist()))
