"""Regret of runs: the two ends of its scale for each scenario, and the curve of each run."""

from collections.abc import Sequence

import numpy as np

from cim_sim.types import Floats
from search.evaluators import digests
from search.loop import PATIENCE
from search.record.runs import RunRecord
from search.record.tasks import OwnTask, Task
from search.stats import RegretEnds, best_so_far, normalised_regret, rewards_of
from search.study.optimum import TOLERANCE, known

CHECKPOINTS = (1, 5, 10, 20, 50, 100, 200, 500)
"""Episodes after which regret is told."""
BEST_OF_RUNS, BEST_KNOWN = "the best of these runs", "best known (`search optimum`)"
BETTER = f"{BEST_OF_RUNS}, above the best known"
OPTIMUM_GIVEN = "optimum of the scenario"


def by_scenario(runs: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Group runs by the digest of their scenario, in the order in which they come."""
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(run.manifest.digests.scenario, []).append(run)
    return groups


def scales_of(runs: Sequence[RunRecord]) -> dict[str, RegretEnds]:
    """Return the two ends of regret by scenario digest, where there are two.

    Under today's surrogate both are searched for; else they are the best of the runs, or the
    optimum that a scenario of the user's own names, and the median feasible design of those that
    search at random. Runs that found better than the best
    known move the upper end.
    """
    scales = {}
    for name, group in by_scenario(runs).items():
        best, median, source = _ends(group)
        if best is not None and median is not None and best > median + TOLERANCE:
            scales[name] = RegretEnds(best, median, source)
    return scales


def _ends(runs: Sequence[RunRecord]) -> tuple[float | None, float | None, str]:
    scores = [trial.score for run in runs for trial in run.trials if trial.feasible]
    config, task = runs[0].config, runs[0].config.task
    today = digests(config.scenario, config.space, config)
    if config.evaluator == "surrogate" and today == runs[0].manifest.digests:
        assert isinstance(task, Task)  # nobody else asks the surrogate
        top = known(task.scenario, task.space)
        best = max(scores, default=None)
        if best is None or (top.reward is not None and best <= top.reward + TOLERANCE):
            return top.reward, top.median_feasible, BEST_KNOWN
        return best, top.median_feasible, BETTER
    random = [
        trial.score
        for run in runs
        for trial in run.trials
        if run.config.optimizer == "random" and trial.feasible and trial.duplicate_of is None
    ]
    median = float(np.median(random)) if random else None
    if isinstance(task, OwnTask) and task.scenario.optimum is not None:
        return max([*scores, task.scenario.optimum]), median, OPTIMUM_GIVEN
    return max(scores, default=None), median, BEST_OF_RUNS


def is_finished(run: RunRecord) -> bool:
    """Whether the budget is spent, or was given up after too many failures in a row."""
    last = run.trials[-PATIENCE:]
    gave_up = len(last) == PATIENCE and all(trial.failure for trial in last)
    return len(run.trials) >= run.config.episodes or gave_up


def regret_curve(run: RunRecord, ends: RegretEnds) -> Floats:
    """Regret after each episode of the budget; what a run gave up on stays as it was."""
    best = best_so_far(rewards_of(run.trials))
    rest = np.full(run.config.episodes - len(best), best[-1])
    return normalised_regret(np.append(best, rest), ends)
