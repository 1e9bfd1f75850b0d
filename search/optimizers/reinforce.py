"""REINFORCE with an LSTM controller, as NACIM searches.

NACIM's exact settings are not published. These are the ones of NAQS, the same group's released
code (github.com/MariusAnje/NAQS): two LSTM layers of 35, five rollouts an update, a baseline that
is an exponential moving average over a period of 20, Adam at 5e-3. An infeasible design scores -1.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from pydantic import Field

from cim_sim.config import Config
from cim_sim.evaluate import INFEASIBLE_REWARD
from cim_sim.types import Count
from search.proposal import Problem, Proposal
from search.record.tasks import OwnTask
from search.record.trace import Trial

if TYPE_CHECKING:
    from search.optimizers.controller import Controller


class Settings(Config):
    """The controller of each agent and how it learns."""

    hidden: Count = 35
    layers: Count = 2
    rollouts: Count = 5
    """Episodes that one gradient step averages."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-3
    baseline_period: Annotated[float, Field(ge=1)] = 20
    """Episodes over which the baseline averages: it moves by 2 / (period + 1) each."""
    entropy: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the entropy bonus; NAQS has none."""


class Agent(NamedTuple):
    """A policy over some of the parameters."""

    places: tuple[int, ...]
    """Which parameters of the space it chooses, by their place."""
    controller: "Controller"


class Reinforce:
    """Agents draw a design together, and each shifts its policy towards what beat the baseline."""

    def __init__(
        self, problem: Problem, settings: Settings, groups: Sequence[Sequence[int]]
    ) -> None:
        """Make an agent for each group of parameters; all of them get the reward of the design.

        Args:
            problem: what is searched.
            settings: of every agent.
            groups: the places of the parameters that each agent chooses; every place stands once.
        """
        self.problem, self.settings = problem, settings
        self.baseline: float | None = None
        """Of the one reward, so that all agents share it."""
        self._lowest = INFEASIBLE_REWARD
        self.agents = [self._agent(number, places) for number, places in enumerate(groups)]
        self._waiting: list[list[int]] = []
        """Drawn from the present policies and not proposed yet."""
        self._drawn = 0
        self._episodes: list[tuple[tuple[int, ...], float]] = []
        """Choices and scores since the last gradient step."""

    def suggest(self, count: int) -> list[Proposal]:
        """Draw designs from the policies; the classic controller repeats itself as it converges."""
        while len(self._waiting) < count:
            self._waiting.extend(self._draw())
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return [Proposal(design=self.problem.space.decode(choices)) for choices in taken]

    def update(self, trials: Sequence[Trial]) -> None:
        """Take a gradient step for each full set of rollouts."""
        for trial in trials:
            if trial.design is not None and trial.failure is None:
                choices = self.problem.space.encode(trial.design)
                self._episodes.append((choices, self._score(trial)))
            if len(self._episodes) == self.settings.rollouts:
                self._learn()

    def _agent(self, number: int, places: Sequence[int]) -> Agent:
        from search.optimizers.controller import Controller

        parameters = self.problem.space.parameters
        controller = Controller(
            [len(parameters[place].choices) for place in places],
            self.problem.generator("controller", number),
            **self.settings.model_dump(exclude={"rollouts", "baseline_period"}),
        )
        return Agent(tuple(places), controller)

    def _draw(self) -> list[list[int]]:
        """Choices of one gradient step's designs, each agent's own without sight of the others'."""
        count, rng = self.settings.rollouts, self.problem.generator("rollouts", self._drawn)
        drawn = np.zeros((count, len(self.problem.space.parameters)), np.int64)
        for agent in self.agents:
            drawn[:, agent.places] = agent.controller.sample(count, rng)
        self._drawn += count
        return drawn.tolist()

    def _score(self, trial: Trial) -> float:
        """Return the reward, or the paper's -1 for an infeasible design.

        The user's own rewards have any scale: where one lower than -1 was seen, the lowest counts.
        """
        if trial.feasible and isinstance(self.problem.task, OwnTask):
            self._lowest = min(self._lowest, trial.score)
        return trial.score if trial.feasible else self._lowest

    def _learn(self) -> None:
        advantages = np.array([self._advantage(score) for _, score in self._episodes])
        choices = np.array([choices for choices, _ in self._episodes])
        for agent in self.agents:
            agent.controller.step(choices[:, agent.places], advantages)
        self._episodes, self._waiting = [], []

    def _advantage(self, score: float) -> float:
        """Return the score above the baseline, then move the baseline towards the score."""
        baseline = score if self.baseline is None else self.baseline
        self.baseline = baseline + 2 / (self.settings.baseline_period + 1) * (score - baseline)
        return score - baseline


def reinforce(problem: Problem, settings: Settings) -> Reinforce:
    """Build the optimiser: one agent chooses everything, one parameter after the other."""
    return Reinforce(problem, settings, [range(len(problem.space.parameters))])
