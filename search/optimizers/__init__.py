"""Optimisers by name: one file each, one entry here, one contract test for all."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from typing import Any, NamedTuple

from cim_sim.config import Config, UsageError, parse
from search.llm.model import ModelConfig
from search.optimizers import (
    bayesian,
    boosted,
    genetic,
    gpt4_replay,
    greybox,
    informed,
    llm,
    lookup,
    marl,
    neighbours,
    random,
    ranked,
    reinforce,
    surrogate,
    tpe,
    warm,
)
from search.proposal import Opened, Opening, Optimizer, Problem
from search.record.given import Given
from search.record.manifest import RunConfig
from search.record.runs import Run


class Kind(NamedTuple):
    """How an optimiser is set and made."""

    settings: type[Config]
    open: Opening


def plain(
    build: Callable[[Problem, Any], Optimizer],
    given: Callable[[Any], Given] = lambda settings: Given(),
) -> Opening:
    """Return the opening of an optimiser that needs only the problem and its settings.

    Args:
        build: makes it.
        given: says what it was given by way of its settings.
    """
    return lambda problem, settings, run: nullcontext(
        Opened(build(problem, settings), given=given(settings))
    )


def _warm(problem: Problem, settings: warm.Settings, run: Run) -> AbstractContextManager[Opened]:
    first, then = (
        OPTIMIZERS[part.optimizer].open(problem, settings_of(part.optimizer, part.settings), run)
        for part in (settings.first, settings.then)
    )
    return warm.opened(first, then, settings)


OPTIMIZERS: dict[str, Kind] = {
    "random": Kind(random.Settings, plain(random.RandomOptimizer)),
    "reinforce": Kind(reinforce.Settings, plain(reinforce.reinforce)),
    "marl": Kind(reinforce.Settings, plain(marl.marl)),
    "genetic": Kind(genetic.Settings, plain(genetic.genetic)),
    "tpe": Kind(tpe.Settings, plain(tpe.tpe)),
    "bayesian": Kind(bayesian.Settings, plain(bayesian.bayesian)),
    "greybox": Kind(greybox.Settings, plain(greybox.Greybox, greybox.given)),
    "informed": Kind(informed.Settings, plain(informed.Informed, informed.given)),
    "lookup": Kind(lookup.Settings, plain(lookup.Lookup, lookup.given)),
    "neighbours": Kind(neighbours.Settings, plain(neighbours.Neighbours, neighbours.given)),
    "surrogate": Kind(surrogate.Settings, plain(surrogate.SurrogateOptimizer, surrogate.given)),
    "boosted": Kind(boosted.Settings, plain(boosted.boosted, boosted.given)),
    "warm": Kind(warm.Settings, _warm),
    "llm": Kind(llm.Settings, llm.opened),
    "ranked": Kind(ranked.Settings, ranked.opened),
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


def _parts(config: RunConfig) -> dict[str, Config]:
    """Return the settings of a run's optimiser by its name, or of both parts of a warm start."""
    settings = settings_of(config.optimizer, config.settings)
    if not isinstance(settings, warm.Settings):
        return {config.optimizer: settings}
    both = settings.first, settings.then
    return {part.optimizer: settings_of(part.optimizer, part.settings) for part in both}


def asked_by(config: RunConfig) -> llm.Settings | None:
    """Return how a run asks a language model, for all or some episodes; None: there is none."""
    return next((one for one in _parts(config).values() if isinstance(one, llm.Settings)), None)


def model_of(config: RunConfig) -> ModelConfig | None:
    """Return the language model of a run; None where the optimiser has none."""
    asked = asked_by(config)
    return asked.model if asked else None


def is_oracle(config: RunConfig) -> bool:
    """Whether an optimiser asks the very judge of its run: no rival, but a bound."""
    return config.evaluator == "surrogate" and "surrogate" in _parts(config)
