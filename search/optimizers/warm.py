"""A warm start: one optimiser proposes the first episodes, another goes on with their results.

What Design-Bench's critics and BOLT ask for: whoever knows the field initialises, a search on the
task at hand finishes.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import Field, model_validator

from cim_sim.config import Config, UsageError
from cim_sim.types import Count
from search.proposal import Opened, Optimizer, Proposal
from search.record.adapter import Lineage
from search.record.trace import Trial

ASKS_A_MODEL = ("llm", "ranked")


class First(Config):
    """Who begins: any optimiser, a language model too."""

    optimizer: str = "lookup"
    settings: dict[str, Any] = Field(default_factory=dict)


class Then(Config):
    """Who goes on."""

    optimizer: Literal["greybox", "informed", "tpe", "llm"] = "greybox"
    settings: dict[str, Any] = Field(default_factory=dict)


class Settings(Config):
    """Two optimisers and when the second takes over."""

    first: First = First()
    episodes: Count = 5
    """Episodes of the first one, a whole number of batches or a few more; what the free screening
    passes over is none."""
    trust: Annotated[float, Field(gt=0)] | None = None
    """Where the nearest task that a tuned model learnt is farther than this, by the distance of
    `lookup`, the second proposes from the start; None: the first is always heard."""
    then: Then = Then()

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if self.first.optimizer in ASKS_A_MODEL and self.then.optimizer == "llm":
            raise ValueError("first and then: a run has one language model, so one of them at most")
        if self.first.optimizer == "warm":
            raise ValueError("first: warm begins with another optimiser, not with itself")
        return self


class Learner(Optimizer, Protocol):
    """An optimiser that also learns from designs that it did not propose."""

    def observe(self, trials: Sequence[Trial]) -> None:
        """Learn from the trials of somebody else's proposals."""


class Warm:
    """Hands over after so many episodes; the second one has seen all results by then."""

    def __init__(self, first: Optimizer, then: Learner, episodes: int) -> None:
        self._first, self._then, self._left = first, then, episodes

    def suggest(self, count: int) -> list[Proposal]:
        """Ask the first as long as it has episodes left, then the other.

        Raises:
            SearchStopped: as the one that is asked.
        """
        return (self._first if self._left > 0 else self._then).suggest(count)

    def update(self, trials: Sequence[Trial]) -> None:
        """Tell who proposed them; what the first one learns, the second learns too."""
        if self._left > 0:
            self._first.update(trials)
            self._then.observe(trials)
        else:
            self._then.update(trials)
        self._left -= sum(not trial.passed_over for trial in trials)


@contextmanager
def opened(
    first: AbstractContextManager[Opened], then: AbstractContextManager[Opened], settings: Settings
) -> Iterator[Opened]:
    """Open both; one of them may have a model."""
    with first as begins, then as ends:
        episodes = heard(begins.lineage, settings)
        both = Warm(begins.optimizer, ends.optimizer, episodes)  # type: ignore[arg-type]
        model, lineage = begins.model or ends.model, begins.lineage or ends.lineage
        yield Opened(both, model, lineage, begins.given + ends.given)


def heard(lineage: Lineage | None, settings: Settings) -> int:
    """Return how many episodes the first may propose.

    Raises:
        UsageError: trust depends on what it was trained on, and that is not known.
    """
    if settings.trust is None:
        return settings.episodes
    if lineage is None or lineage.nearest is None:
        raise UsageError(
            f"trust: {settings.trust:g} asks how near {settings.first.optimizer} was trained, "
            "which only a model tuned here has on record; leave trust out"
        )
    return settings.episodes if lineage.nearest[1] <= settings.trust else 0
