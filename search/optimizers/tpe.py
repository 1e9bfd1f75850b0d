"""The rival that most users would pick: Optuna's tree-structured Parzen estimator."""

from typing import Annotated

from pydantic import Field

from cim_sim.config import Config
from search.optimizers.optuna_study import OptunaSearch, seed_of
from search.proposal import Problem


class Settings(Config):
    """Arguments of `optuna.samplers.TPESampler`."""

    n_startup_trials: Annotated[int, Field(ge=1)] = 10
    n_ei_candidates: Annotated[int, Field(ge=1)] = 24
    multivariate: bool = True
    """One joint density instead of one for each parameter."""


def tpe(problem: Problem, settings: Settings) -> OptunaSearch:
    """Build the optimiser."""
    from optuna.samplers import TPESampler

    return OptunaSearch(problem, TPESampler(seed=seed_of(problem), **settings.model_dump()))
