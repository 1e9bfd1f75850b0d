"""The contract between the loop and an optimiser."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from cim_sim.config import Stopped, UsageError
from cim_sim.evaluate import Evaluation
from cim_sim.own import AnySpace
from cim_sim.scenario import Scenario
from cim_sim.space import Design
from search.record.adapter import Lineage
from search.record.given import Given
from search.record.runs import Run
from search.record.tasks import AnyTask, OwnTask, Task
from search.record.trace import Exchange, Failure, Trial


class Evaluator(Protocol):
    """Judges designs: `cim_sim.evaluate.Evaluator`, or what the user brings."""

    def screen(self, designs: Sequence[Design]) -> list[Evaluation]:
        """Say what is known for free; leaves the reward open."""

    def evaluate(self, designs: Sequence[Design]) -> Sequence[Evaluation | Failure]:
        """Judge designs. An error that is raised is nobody's: they are then asked one by one."""


@dataclass(frozen=True)
class Problem:
    """What an optimiser may know: the task, the free screening, and its seed."""

    task: AnyTask
    screen: Callable[[Sequence[Design]], list[Evaluation]]
    """Free of charge: cost, floorplan and area; `Evaluator.screen`."""
    seed: int
    draws: int = 1
    """Proposals for one slot that are screened, the one that takes it included."""

    @property
    def space(self) -> AnySpace:
        """What is free."""
        return self.task.space

    @property
    def chip(self) -> Task:
        """The task, for optimisers that know what this simulator knows.

        Raises:
            UsageError: it is the user's own.
        """
        if isinstance(self.task, OwnTask):
            raise UsageError(
                f"scenario {self.task.name} is your own, and this optimiser asks the cost model or "
                "tasks of compute-in-memory chips; use random, reinforce, marl, genetic, tpe, "
                "bayesian, or llm (configs/search/author-local.yaml)"
            )
        return self.task

    @property
    def scenario(self) -> Scenario:
        """What is fixed.

        Raises:
            UsageError: the task is blind, so that nobody is told, or the user's own.
        """
        task = self.chip
        if not task.told:
            raise UsageError(
                "the task is blind: an optimiser sees choices and results, and this one needs the "
                "scenario; use one that does not, or a language model with style paper"
            )
        return task.scenario

    def generator(self, purpose: str, step: int) -> np.random.Generator:
        """Random numbers that depend on the seed, the purpose and the step alone."""
        words = [self.seed, step, *purpose.encode()]
        return np.random.default_rng(np.random.SeedSequence(words))


@dataclass(frozen=True)
class Proposal:
    """A design, or the failure to name one."""

    design: Design | None = None
    failure: Failure | None = None
    exchanges: tuple[Exchange, ...] = ()
    passed_over: int = 0
    """Others for the same slot that the optimiser drew with it, screened and left."""

    def __post_init__(self) -> None:
        if (self.design is None) == (self.failure is None):
            raise ValueError(f"a proposal has either a design or a failure: {self!r}")


class SearchStopped(Stopped):
    """The search cannot go on for a reason outside it: a dead model server, failures in a row.

    What is recorded stays, and the run can be resumed.
    """

    def __init__(self, reason: str, exchanges: tuple[Exchange, ...] = ()) -> None:
        super().__init__(reason)
        self.exchanges = exchanges
        """What was sent and received since the last proposal; recorded like the rest."""


class Optimizer(Protocol):
    """Proposes designs and learns from what became of them.

    Its state is what replaying all suggest/update pairs from the start gives: that is how a run
    resumes. Steps count from 0 in the order of suggestion; batches are synchronous:

        suggest(2) -> steps 0, 1;  update(trials 0, 1);  suggest(2) -> steps 2, 3; ...

    With free screening on, proposals that are passed over come back in `update` like all others,
    with what the screening (or an earlier trial) said of them: the optimiser's own count of
    proposals then runs ahead of `Trial.step`, so rely on the order alone.
    """

    def suggest(self, count: int) -> list[Proposal]:
        """Propose `count` designs of the space (repeats are allowed, and cost an episode).

        Raises:
            SearchStopped: nothing more can be proposed, now or ever.
        """

    def update(self, trials: Sequence[Trial]) -> None:
        """Learn from the trials of the last `suggest`, in its order."""


class Opened(NamedTuple):
    """An optimiser that is ready to propose, who its model is, if it has one, and what it knows."""

    optimizer: Optimizer
    model: dict[str, Any] | None = None
    """Identity of the language model."""
    lineage: Lineage | None = None
    given: Given = Given()
    """What it was given beside the results of its own search."""


Opening = Callable[[Problem, Any, Run], AbstractContextManager[Opened]]
"""Makes the optimiser of a run from the problem and an object of its `Settings`, with the model
server that it needs, and stops that afterwards; imports what is heavy when called."""
