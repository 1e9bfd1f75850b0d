"""Constrained Bayesian optimisation: Optuna's Gaussian process and log-EI.

The reward and each limit (floorplan, area, least accuracy) have a Gaussian process of their own,
all of them black boxes: what feasibility costs to find out is what `greybox` saves. The kind of
rival that Shi et al. (Learned Hardware/Software Co-Design of Neural Accelerators) start from.
"""

from typing import Annotated, Any

from pydantic import Field

from cim_sim.config import Config
from search.optimizers.optuna_study import OptunaSearch
from search.proposal import Problem


class Settings(Config):
    """Arguments of `optuna.samplers.GPSampler`."""

    n_startup_trials: Annotated[int, Field(ge=1)] = 10


def bayesian(problem: Problem, settings: Settings) -> OptunaSearch:
    """Build the optimiser."""

    def sampler(seed: int) -> Any:
        from optuna.samplers import GPSampler

        return GPSampler(seed=seed, warn_independent_sampling=False, **settings.model_dump())

    return OptunaSearch(problem, sampler)
