"""Constrained Bayesian optimisation: Optuna's Gaussian process and log-EI.

The reward and each limit (floorplan, area, least accuracy) have a Gaussian process of their own,
all of them black boxes: what feasibility costs to find out is what `greybox` saves. The kind of
rival that Shi et al. (Learned Hardware/Software Co-Design of Neural Accelerators) start from.
"""

from importlib.metadata import version
from typing import Annotated

from pydantic import Field

from cim_sim.config import Config, UsageError
from search.optimizers.optuna_study import OptunaSearch, seed_of
from search.proposal import Problem


class Settings(Config):
    """Settings of `optuna.samplers.GPSampler`, whose time grows fast with the number of trials."""

    n_startup_trials: Annotated[int, Field(ge=1)] = 10
    local_searches: Annotated[int, Field(ge=2)] = 4
    """Starts from which the acquisition is climbed."""
    memory: Annotated[int, Field(ge=1)] = 120
    """Trials that it looks at. Free screening can hand it hundreds of chips that failed: beyond
    this number the oldest of those are forgotten, never a design whose accuracy was measured."""


def bayesian(problem: Problem, settings: Settings) -> OptunaSearch:
    """Build the optimiser.

    Raises:
        UsageError: another Optuna is installed than it was written for.
    """
    from optuna.samplers import GPSampler

    sampler = GPSampler(
        seed=seed_of(problem),
        warn_independent_sampling=False,
        n_startup_trials=settings.n_startup_trials,
    )
    # No public argument: ten local searches, the default, take 2.4 times as long.
    if not hasattr(sampler, "_n_local_search"):
        raise UsageError(
            f"optimizer bayesian sets a private field of Optuna 5, and Optuna {version('optuna')} "
            "has none such; type: pip install 'optuna>=5,<6'"
        )
    sampler._n_local_search = settings.local_searches
    return OptunaSearch(problem, sampler, settings.memory)
