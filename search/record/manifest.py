"""What a run is to do (config.yaml), and what it was and how it ended (manifest.json)."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from cim_sim.config import Config, UsageError
from cim_sim.own import OwnScenario, OwnSpace, either, load_scenario, load_space, or_file
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from search.record.adapter import Lineage
from search.record.given import Given
from search.record.judge import Judge
from search.record.provenance import Session
from search.record.tasks import AnyTask, task_of

ScenarioOrFile = Annotated[
    Annotated[Scenario, Tag("(cim)")] | Annotated[OwnScenario, Tag("(own)")],
    Discriminator(either),
    BeforeValidator(or_file(load_scenario)),
]
"""A whole scenario of either kind, or the path of its YAML file."""
SpaceOrFile = Annotated[
    Annotated[Space, Tag("(cim)")] | Annotated[OwnSpace, Tag("(own)")],
    Discriminator(either),
    BeforeValidator(or_file(load_space)),
]
"""A whole space of either kind, or the path of its YAML file."""

MOST = 10_000
"""Designs that may be proposed at once: all of them are held in memory."""
Batch = Annotated[int, Field(ge=1, le=MOST)]
Screen = Annotated[int, Field(ge=0, le=MOST)]
Status = Literal["running", "done", "interrupted", "failed"]


class RunConfig(Judge):
    """Everything that decides what a run does: equal configurations give equal trials."""

    optimizer: str
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the optimiser; the class `Settings` in its file says which there are."""
    scenario: ScenarioOrFile
    space: SpaceOrFile
    told: bool = True
    """Whether the optimiser knows the scenario; of a blind one it sees choices and results."""
    episodes: Annotated[int, Field(ge=1)] = 20
    seed: Annotated[int, Field(ge=0)] = 0
    """Root of the optimiser's randomness."""
    batch: Batch = 1
    """Designs proposed before the first of them is evaluated."""
    screen: Screen = 0
    """So many proposals may be made for one slot: the first that is new, and feasible as far as
    the free cost model sees, takes it. 0: no screening."""

    @model_validator(mode="after")
    def _problem_and_evaluator_fit(self) -> Self:
        try:
            self.require_judges(self.task)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def task(self) -> AnyTask:
        """The problem that is searched."""
        return task_of(self.space, self.scenario, self.told)


class Digests(Config):
    """What must be equal for two runs to be comparable, and for one to be resumed."""

    scenario: str
    space: str
    evaluator: str
    simulator: str


class Manifest(Config):
    """What a run is, how it ended, and where its numbers come from."""

    format: Literal[1] = 1
    status: Status = "running"
    """A run that was killed keeps `running`; nobody holds its lock."""
    stopped_by: str | None = None
    digests: Digests
    model: dict[str, Any] | None = None
    """Identity of the language model, where there is one."""
    lineage: Lineage | None = None
    """What that model was made from, as found when the session began."""
    given: Given = Given()
    """What the optimiser had beside the results of its own search."""
    sessions: Annotated[tuple[Session, ...], Field(min_length=1)]
    ended_at: str | None = None


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Name each place where two trees of plain data differ, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*old, *(name for name in new if name not in old)]
        places = ((name, f"{key}.{name}" if key else str(name)) for name in names)
        return [
            difference
            for name, place in places
            for difference in differences(old.get(name), new.get(name), place)
        ]
    return [] if old == new else [f"{key}: {old!r:.200} is not {new!r:.200}"]
