"""Optimisers by name: one file each, one entry here, one contract test for all."""

from collections.abc import Callable
from contextlib import nullcontext
from difflib import get_close_matches
from typing import Any, NamedTuple

from cim_sim.config import Config, UsageError, parse
from search.llm.model import ModelConfig
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
from search.proposal import Opened, Opening, Optimizer, Problem
from search.record.manifest import RunConfig


class Kind(NamedTuple):
    """How an optimiser is set and made."""

    settings: type[Config]
    open: Opening


def plain(build: Callable[[Problem, Any], Optimizer]) -> Opening:
    """Return the opening of an optimiser that needs nothing but the problem and its settings."""
    return lambda problem, settings, run: nullcontext(Opened(build(problem, settings)))


OPTIMIZERS: dict[str, Kind] = {
    "random": Kind(random.Settings, plain(random.RandomOptimizer)),
    "reinforce": Kind(reinforce.Settings, plain(reinforce.Reinforce)),
    "genetic": Kind(genetic.Settings, plain(genetic.genetic)),
    "tpe": Kind(tpe.Settings, plain(tpe.tpe)),
    "bayesian": Kind(bayesian.Settings, plain(bayesian.bayesian)),
    "greybox": Kind(greybox.Settings, plain(greybox.Greybox)),
    "llm": Kind(llm.Settings, llm.opened),
    "gpt4-replay": Kind(gpt4_replay.Settings, plain(gpt4_replay.Gpt4Replay)),
}


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


def model_of(config: RunConfig) -> ModelConfig | None:
    """Return the language model of a run; None where the optimiser has none."""
    settings = settings_of(config.optimizer, config.settings)
    return settings.model if isinstance(settings, llm.Settings) else None
