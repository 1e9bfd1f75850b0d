"""The genetic rival: Optuna's NSGA-II with constrained domination, on one objective."""

from typing import Annotated

from pydantic import Field

from cim_sim.config import Config
from cim_sim.types import Share
from search.optimizers.optuna_study import OptunaSearch, seed_of
from search.proposal import Problem


class Settings(Config):
    """Arguments of `optuna.samplers.NSGAIISampler`."""

    population_size: Annotated[int, Field(ge=2)] = 50
    mutation_prob: Share | None = None
    """Of each parameter; None: one in the number of parameters."""
    crossover_prob: Share = 0.9
    swapping_prob: Share = 0.5


def genetic(problem: Problem, settings: Settings) -> OptunaSearch:
    """Build the optimiser."""
    from optuna.samplers import NSGAIISampler

    return OptunaSearch(problem, NSGAIISampler(seed=seed_of(problem), **settings.model_dump()))
