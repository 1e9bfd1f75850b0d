"""What a run is to do (config.yaml), and what it was and how it ended (manifest.json)."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from cim_sim.config import Config, load
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from search.record.adapter import Lineage
from search.record.provenance import Session


def _or_file(kind: type[Config]) -> BeforeValidator:
    return BeforeValidator(lambda v: load(v, kind) if isinstance(v, (str, Path)) else v)


ScenarioOrFile = Annotated[Scenario, _or_file(Scenario)]
"""Whole, or the path of a YAML file."""
SpaceOrFile = Annotated[Space, _or_file(Space)]
"""Whole, or the path of a YAML file."""

Status = Literal["running", "done", "interrupted", "failed"]


class RunConfig(Config):
    """Everything that decides what a run does: equal configurations give equal trials."""

    optimizer: str
    settings: dict[str, Any] = Field(default_factory=dict)
    """Of this optimiser; its own `Settings` says which there are."""
    scenario: ScenarioOrFile
    space: SpaceOrFile
    evaluator: Literal["trained", "surrogate"] = "trained"
    accuracy_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the accuracy experiment: the arms of a comparison share it."""
    episodes: Annotated[int, Field(ge=1)] = 20
    seed: Annotated[int, Field(ge=0)] = 0
    """Root of the optimiser's randomness."""
    batch: Annotated[int, Field(ge=1)] = 1
    """Designs proposed before the first of them is evaluated."""
    screen: Annotated[int, Field(ge=0)] = 0
    """Proposals for one slot of which the first feasible and new one is taken; 0: no screening."""


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
    sessions: tuple[Session, ...]
    ended_at: str | None = None


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Name each place where two trees of plain data differ, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*old, *(name for name in new if name not in old)]
        places = ((name, f"{key}.{name}" if key else str(name)) for name in names)
        return [
            found
            for name, place in places
            for found in differences(old.get(name), new.get(name), place)
        ]
    return [] if old == new else [f"{key}: {old!r:.200} is not {new!r:.200}"]
