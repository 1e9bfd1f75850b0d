"""Tasks: a scenario, the space that its designs are from, and what a proposer is told of them."""

from cim_sim.config import Config
from cim_sim.scenario import Scenario
from cim_sim.space import Space


class Task(Config):
    """One search problem, before anybody searches it."""

    space: Space
    scenario: Scenario
    told: bool = True
    """Whether the proposer knows the scenario. Of a blind task it sees choices and results."""

    @property
    def name(self) -> str:
        """Name of the scenario, which is unique in the family."""
        return self.scenario.name
