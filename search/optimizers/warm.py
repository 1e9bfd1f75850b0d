"""A warm start: one optimiser proposes the first episodes, another goes on with their results.

What Design-Bench's critics and BOLT ask for: whoever knows the field initialises, a search on the
task at hand finishes.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from cim_sim.config import Config, UsageError
from cim_sim.types import Count
from search.proposal import Opened, Optimizer, Proposal
from search.record.adapter import Lineage
from search.record.trace import Trial


class First(Config):
    """Who begins: any optimiser, a language model too."""

    optimizer: str = "lookup"
    settings: dict[str, Any] = Field(default_factory=dict)


class Then(Config):
    """Who goes on."""

    optimizer: Literal["greybox", "tpe"] = "greybox"
    settings: dict[str, Any] = Field(default_factory=dict)


class Settings(Config):
    """Two optimisers and when the second takes over."""

    first: First = First()
    episodes: Count = 5
    """Proposals of the first one."""
    trust: Annotated[float, Field(gt=0)] | None = None
    """Where the nearest task that a tuned model learnt is farther than this, by the distance of
    `lookup`, the second proposes from the start; None: the first is always heard."""
    then: Then = Then()


class Learner(Optimizer, Protocol):
    """An optimiser that also learns from designs that it did not propose."""

    def observe(self, trials: Sequence[Trial]) -> None:
        """Learn from the trials of somebody else's proposals."""


class Warm:
    """Hands over after so many proposals; the second one has seen all results by then."""

    def __init__(self, first: Optimizer, then: Learner, episodes: int) -> None:
        self._first, self._then, self._left = first, then, episodes
        self._handed_out = 0
        """Of the last proposals, how many were the first one's."""

    def suggest(self, count: int) -> list[Proposal]:
        """Ask the first as long as it has proposals left, then the other.

        Raises:
            SearchStopped: as the one that is asked.
        """
        early = min(count, self._left)
        proposals = self._first.suggest(early) if early else []
        rest = self._then.suggest(count - early) if count > early else []
        self._handed_out, self._left = early, self._left - early
        return [*proposals, *rest]

    def update(self, trials: Sequence[Trial]) -> None:
        """Tell both."""
        early, rest = trials[: self._handed_out], trials[self._handed_out :]
        if early:
            self._first.update(early)
        if rest:
            self._then.update(rest)
        self._then.observe(early)


@contextmanager
def opened(
    first: AbstractContextManager[Opened], then: AbstractContextManager[Opened], settings: Settings
) -> Iterator[Opened]:
    """Open both; a model is the first one's."""
    with first as begins, then as ends:
        episodes = heard(begins.lineage, settings)
        both = Warm(begins.optimizer, ends.optimizer, episodes)  # type: ignore[arg-type]
        yield Opened(both, begins.model, begins.lineage, begins.given + ends.given)


def heard(lineage: Lineage | None, settings: Settings) -> int:
    """Return how many proposals the first may make.

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
