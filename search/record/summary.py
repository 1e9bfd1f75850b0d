"""What a run came to, in one line of numbers."""

from collections.abc import Sequence
from typing import Any

from cim_sim.config import Config
from search.record.trace import Trial


class Summary(Config):
    """Counts and the best of the trials of one run."""

    best_reward: float | None
    """None: nothing feasible was found."""
    best_design: Any
    """In wire format."""
    best_step: int | None
    first_feasible: int | None
    """Episodes until the first feasible design, that one included."""
    episodes: int
    infeasible: int
    failures: int
    duplicates: int
    screened: int
    """Proposals passed over by the free screening; they are no episodes."""
    evaluated: int
    """Designs evaluated: neither failures nor duplicates."""
    trained: int
    """Evaluated designs whose accuracy was measured: each network is trained once, then cached."""
    seconds: float
    """Time of all trials together, over all sessions of the run."""


def summarise(trials: Sequence[Trial]) -> Summary:
    """Count trials and find the best."""
    feasible = [trial for trial in trials if trial.feasible]
    best = max(feasible, key=lambda trial: trial.score, default=None)
    evaluated = [trial for trial in trials if trial.evaluation and trial.duplicate_of is None]
    return Summary(
        best_reward=best.score if best else None,
        best_design=best.design.wire() if best and best.design else None,
        best_step=best.step if best else None,
        first_feasible=feasible[0].step + 1 if feasible else None,
        episodes=len(trials),
        infeasible=sum(trial.evaluation is not None and not trial.feasible for trial in trials),
        failures=sum(trial.failure is not None for trial in trials),
        duplicates=sum(trial.duplicate_of is not None for trial in trials),
        screened=sum(trial.screened for trial in trials),
        evaluated=len(evaluated),
        trained=sum(_measured(trial) for trial in evaluated),
        seconds=round(sum(trial.seconds for trial in trials), 3),
    )


def _measured(trial: Trial) -> bool:
    accuracy = trial.evaluation.accuracy if trial.evaluation else None
    return accuracy is not None and accuracy.predictive_std is None
