"""Re-trains what searches found, to see whether the surrogate, or a lucky seed, was right.

All arms share one judge of accuracy, and an optimiser looks for the places where it is too kind.
Here the best designs of a run, or of every arm of a sweep, are trained for real with other seeds
and judged by the same reward.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cim_sim.accuracy.query import Accuracy
from cim_sim.config import Config
from cim_sim.evaluate import INFEASIBLE_REWARD
from cim_sim.scenario import Scenario
from cim_sim.space import Design, Space, parse_design
from search.record.manifest import RunConfig
from search.record.trace import Trial

if TYPE_CHECKING:
    import pandas as pd

SEEDS = 3
"""Trainings of each design."""


class Winner(NamedTuple):
    """A design to re-train, and what the search believed of it."""

    scenario: Scenario
    arm: str
    design: Design
    reward: float
    accuracy: float
    energy_pj: float
    latency_ns: float


class Verified(Config):
    """A winner after re-training."""

    scenario: str
    arm: str
    design: str
    """Wire format, JSON."""
    predicted_accuracy: float
    accuracies: tuple[float, ...]
    """One for each training seed."""
    predicted_reward: float
    reward: float
    """At the mean of the accuracies; the paper's -1 where that misses the least accuracy."""
    holds: float | None
    """Share of the trainings that keep the least accuracy; None without one."""


class ArmVerified(Config):
    """An arm over the scenarios in which every arm has a winner."""

    arm: str
    predicted_reward: float
    reward: float
    accuracy_bias: float
    """Predicted less re-trained accuracy: above 0, the surrogate was too kind."""
    holds: float | None


class Verification(Config):
    """All winners, and whether re-training keeps their order."""

    winners: tuple[Verified, ...]
    arms: tuple[ArmVerified, ...]
    scenarios: tuple[int, int]
    """In which every arm has a winner, and all of them."""
    kendall_tau: float | None
    """Between predicted and re-trained rewards of the arms within a scenario, mean over those."""


def winners(trials: "pd.DataFrame", scenarios: Sequence[Scenario]) -> list[Winner]:
    """Return the best design of every arm in each scenario; an arm that found none has none."""
    open_only = trials[(trials["screen"] == 0) & trials["reward"].notna()]
    best_of_arms = []
    for scenario in scenarios:
        here = open_only[open_only["scenario"] == scenario.name]
        for arm, group in here.groupby("arm", sort=False):
            best = group.sort_values("reward", kind="stable").iloc[-1]
            amounts = best[["reward", "accuracy", "energy_pj", "latency_ns"]].astype(float)
            design = parse_design(best["design"], "winner")
            best_of_arms.append(Winner(scenario, str(arm), design, *amounts.tolist()))
    return best_of_arms


def retrain_top(
    trials: Sequence[Trial], config: RunConfig, count: int, cache: Path, workers: int
) -> Verification:
    """Train the `count` best different designs of a run again; the rank stands in for the arm."""
    first = [trial for trial in trials if trial.feasible and trial.duplicate_of is None]
    best = sorted(first, key=lambda trial: -trial.score)[:count]
    top = [
        Winner(
            config.scenario,
            str(rank),
            found.design,
            found.score,
            found.accuracy.mean,
            found.cost.energy_pj,
            found.cost.latency_ns,
        )
        for rank, found in enumerate((trial.evaluation for trial in best), start=1)
        if found and found.accuracy and found.cost
    ]
    return retrain(top, config.space, other_seeds(config.accuracy_seed, SEEDS), cache, workers)


def other_seeds(seed: int, count: int) -> range:
    """Return training seeds that a search at accuracy seed `seed` did not use."""
    return range(seed + 1, seed + 1 + count)


def retrain(
    best: Sequence[Winner], space: Space, seeds: Sequence[int], cache: Path, workers: int
) -> Verification:
    """Train every winner with each of `seeds` and judge it again."""
    from cim_sim.accuracy.trained import measure_many

    queries = [
        winner.scenario.query(winner.design, space, seed) for winner in best for seed in seeds
    ]
    answers = measure_many(queries, cache, workers)
    verified = [
        _verified(winner, answers[place * len(seeds) : (place + 1) * len(seeds)])
        for place, winner in enumerate(best)
    ]
    shared = _shared(verified)
    return Verification(
        winners=tuple(verified),
        arms=tuple(_arms([one for one in verified if one.scenario in shared])),
        scenarios=(len(shared), len({one.scenario for one in verified})),
        kendall_tau=_tau(verified),
    )


def _verified(winner: Winner, answers: Sequence[Accuracy]) -> Verified:
    accuracies = [answer.mean for answer in answers]
    least, mean = winner.scenario.limits.accuracy, float(np.mean(accuracies))
    reward = winner.scenario.objective.reward(mean, winner.energy_pj, winner.latency_ns)
    return Verified(
        scenario=winner.scenario.name,
        arm=winner.arm,
        design=json.dumps(winner.design.wire()),
        predicted_accuracy=winner.accuracy,
        accuracies=tuple(accuracies),
        predicted_reward=winner.reward,
        reward=INFEASIBLE_REWARD if least is not None and mean < least else reward,
        holds=None if least is None else float(np.mean(np.array(accuracies) >= least)),
    )


def _shared(verified: Sequence[Verified]) -> set[str]:
    """Scenarios in which every arm has a winner: others would favour who found nothing there."""
    arms = {one.arm for one in verified}
    names = {one.scenario for one in verified}
    found = {(one.scenario, one.arm) for one in verified}
    return {name for name in names if all((name, arm) in found for arm in arms)}


def _arms(verified: Sequence[Verified]) -> list[ArmVerified]:
    found = []
    for name in dict.fromkeys(one.arm for one in verified):
        own = [one for one in verified if one.arm == name]
        holds = [one.holds for one in own if one.holds is not None]
        bias = [one.predicted_accuracy - np.mean(one.accuracies) for one in own]
        found.append(
            ArmVerified(
                arm=name,
                predicted_reward=float(np.mean([one.predicted_reward for one in own])),
                reward=float(np.mean([one.reward for one in own])),
                accuracy_bias=float(np.mean(bias)),
                holds=float(np.mean(holds)) if holds else None,
            )
        )
    return found


def _tau(verified: Sequence[Verified]) -> float | None:
    from scipy.stats import kendalltau

    taus = []
    for name in dict.fromkeys(one.scenario for one in verified):
        own = [one for one in verified if one.scenario == name]
        predicted = {one.predicted_reward for one in own}
        if len(predicted) > 1 and len({one.reward for one in own}) > 1:
            tau = kendalltau([one.predicted_reward for one in own], [one.reward for one in own])
            taus.append(float(tau.statistic))
    return float(np.mean(taus)) if taus else None
