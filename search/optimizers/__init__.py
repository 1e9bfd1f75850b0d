"""Optimisers by name: one file each, one entry here, one contract test for all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from cim_sim.config import Config, UsageError, parse
from search.llm.lineage import lineage_of
from search.optimizers import (
    bayesian,
    genetic,
    gpt4_replay,
    greybox,
    llm,
    random,
    reinforce,
    tpe,
)
from search.proposal import Optimizer, Problem
from search.record.adapter import Lineage
from search.record.manifest import RunConfig
from search.record.trace import Exchange


class Kind(NamedTuple):
    """How an optimiser is set and made."""

    settings: type[Config]
    build: Callable[[Problem, Any], Optimizer] | None = None
    """Takes the problem and an object of `settings`; imports what is heavy when called.
    None: it needs a model, see `opened`."""


OPTIMIZERS: dict[str, Kind] = {
    "random": Kind(random.Settings, random.RandomOptimizer),
    "reinforce": Kind(reinforce.Settings, reinforce.Reinforce),
    "genetic": Kind(genetic.Settings, genetic.genetic),
    "tpe": Kind(tpe.Settings, tpe.tpe),
    "bayesian": Kind(bayesian.Settings, bayesian.bayesian),
    "greybox": Kind(greybox.Settings, greybox.Greybox),
    "llm": Kind(llm.Settings),
    "gpt4-replay": Kind(gpt4_replay.Settings, gpt4_replay.Gpt4Replay),
}


class Opened(NamedTuple):
    """An optimiser that is ready to propose, and who its model is, if it has one."""

    optimizer: Optimizer
    model: dict[str, Any] | None = None
    lineage: Lineage | None = None


def settings_of(name: str, settings: dict[str, Any]) -> Config:
    """Return the complete settings of an optimiser.

    Raises:
        UsageError: there is no such optimiser, or it has no such setting.
    """
    if name not in OPTIMIZERS:
        close = get_close_matches(name, OPTIMIZERS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(OPTIMIZERS)}"
        raise UsageError(f"optimizer {name} is not known; {hint}")
    return parse(settings, OPTIMIZERS[name].settings, f"settings of optimizer {name}")


@contextmanager
def opened(
    config: RunConfig, problem: Problem, exchanges: Sequence[Exchange], directory: Path
) -> Iterator[Opened]:
    """Make the optimiser of a run, with the model server it needs, and stop that afterwards.

    Args:
        config: of the run.
        problem: what the optimiser may know.
        exchanges: recorded ones; a language model's are replayed, not asked again.
        directory: of the run; a server writes its log there.

    Raises:
        UsageError: the settings or the model do not fit.
        SearchStopped: the model server does not start.
    """
    settings = settings_of(config.optimizer, config.settings)
    build = OPTIMIZERS[config.optimizer].build
    if build:
        yield Opened(build(problem, settings))
    else:
        assert isinstance(settings, llm.Settings)
        lineage = lineage_of(settings.model)
        with llm.opened(problem, settings, exchanges, directory) as ready:
            yield Opened(ready.optimizer, ready.model, lineage)
