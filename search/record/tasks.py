"""Tasks: a scenario, the space that its designs are from, and what a proposer is told of them."""

from pathlib import Path
from typing import Annotated

from pydantic import Discriminator, RootModel, Tag

from cim_sim.config import Config, UsageError
from cim_sim.files import MEND, read
from cim_sim.own import AnyScenario, AnySpace, OwnScenario, OwnSpace, either
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


class OwnTask(Config):
    """A search problem of the user's own."""

    space: OwnSpace
    scenario: OwnScenario
    told: bool = True

    @property
    def name(self) -> str:
        """Name of the scenario."""
        return self.scenario.name


AnyTask = Task | OwnTask


class TaskLine(RootModel[Task | OwnTask]):
    """A task of either kind, as a line of a file."""

    root: Annotated[
        Annotated[Task, Tag("(cim)")] | Annotated[OwnTask, Tag("(own)")],
        Discriminator(lambda line: either(line.get("space") if isinstance(line, dict) else line)),
    ]


def task_of(space: AnySpace, scenario: AnyScenario, told: bool = True) -> AnyTask:
    """Join a space and a scenario.

    Raises:
        UsageError: one is the user's own, and the other is not.
    """
    if isinstance(space, OwnSpace) and isinstance(scenario, OwnScenario):
        return OwnTask(space=space, scenario=scenario, told=told)
    if isinstance(space, Space) and isinstance(scenario, Scenario):
        return Task(space=space, scenario=scenario, told=told)
    own, other = ("space", "scenario") if isinstance(space, OwnSpace) else ("scenario", "space")
    raise UsageError(
        f"scenario {scenario.name} and space {space.name}: the {own} is your own, so the {other} "
        "must be too: a scenario with `choose`, `facts` and `objective`, a space with `choices`"
    )


def read_tasks(path: Path, mend: str = MEND) -> list[AnyTask]:
    """Read a file of tasks, one a line; none where there is no file.

    Raises:
        UsageError: a line is not a task; says how to `mend` it.
    """
    return [line.root for line in read(path, TaskLine, mend).records]
