"""Re-trains what searches found, to see whether the surrogate, or a lucky seed, was right.

All arms share one judge of accuracy, and an optimiser looks for the places where it is too kind.
Here the best designs of a run, or of every arm of a sweep, are trained for real with other seeds,
tested on images that no search ever saw, and judged by the same reward.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cim_sim.accuracy.query import Accuracy
from cim_sim.config import Config, UsageError
from cim_sim.evaluate import INFEASIBLE_REWARD, AccuracySource
from cim_sim.intervals import Interval
from cim_sim.space import Design, parse_design
from cim_sim.types import Floats
from search.record.manifest import RunConfig
from search.record.tasks import AnyTask, Task
from search.record.trace import Trial
from search.stats import Resampling

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: tuple[str, ...] = ("scenario", "arm", "screen", "step", "design", "reward", "accuracy")
COLUMNS += ("energy_pj", "latency_ns")
"""Of a table of trials, those that decide who wins."""
SEEDS = 3
"""Trainings of each design."""


class Winner(NamedTuple):
    """A design to re-train, its cost, and the accuracy and reward that the search believed."""

    task: Task
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
    rewards: tuple[float, ...]
    """One for each training seed; the paper's -1 for one that misses the least accuracy."""
    reward: float
    """Their mean."""
    holds: float | None
    """Share of the trainings that keep the least accuracy; None without one."""


class ArmVerified(Config):
    """An arm over all scenarios; where it has no winner its rewards are the paper's -1."""

    arm: str
    winners: int
    """Scenarios in which it found something feasible."""
    predicted_reward: float
    reward: Interval
    accuracy_bias: float | None
    """Predicted less re-trained accuracy: above 0, the surrogate was too kind; None: no winner."""
    holds: float | None


class Difference(Config):
    """Re-trained reward of one arm less that of another, paired by scenario and training seed."""

    arm: str
    against: str
    reward: Interval


class Verification(Config):
    """All winners, and whether re-training keeps their order."""

    winners: tuple[Verified, ...]
    arms: tuple[ArmVerified, ...]
    differences: tuple[Difference, ...]
    scenarios: int
    """In which any arm has a winner."""
    kendall_tau: float | None
    """Between predicted and re-trained rewards of the arms within a scenario, mean over those."""
    episodes: int | None = None
    """Of each search, from the first on, whose designs could win; None: of one run, all."""
    searches: int | None = None
    """Seeds of each arm in each scenario, whose best design is the winner."""


def winners(
    trials: "pd.DataFrame", tasks: Sequence[AnyTask], episodes: int | None = None
) -> list[Winner]:
    """Return the best design of every arm in each scenario; an arm that found none has none.

    Args:
        trials: of one sweep or several, as in `trials.parquet`.
        tasks: the scenarios with their spaces.
        episodes: only designs of so many first episodes win; None: of all.

    Raises:
        UsageError: a problem is the user's own.
    """
    in_time = trials["step"] < (episodes or np.inf)
    feasible = trials[in_time & trials["reward"].notna()]
    best = []
    for task in map(_trainable, tasks):
        here = feasible[feasible["scenario"] == task.name]
        for (arm, screen), group in here.groupby(["arm", "screen"], sort=False):
            row = group.sort_values("reward", kind="stable").iloc[-1]
            try:
                amounts = row[["reward", "accuracy", "energy_pj", "latency_ns"]].astype(float)
            except (ValueError, TypeError) as error:
                raise UsageError(f"trials.parquet: {task.name}, {arm}: {error!s:.200}") from None
            design = parse_design(str(row["design"]), f"{task.name}, {arm}")
            best.append(Winner(task, _name(arm, screen), design, *amounts.tolist()))
    return best


def names_of(trials: "pd.DataFrame") -> list[str]:
    """Return the arms of a table of trials, those that found nothing too."""
    pairs = trials[["arm", "screen"]].drop_duplicates()
    return [_name(arm, screen) for arm, screen in pairs.itertuples(index=False)]


def _name(arm: object, screen: object) -> str:
    return f"{arm}+screen{screen}" if screen else str(arm)


def retrain_top(
    trials: Sequence[Trial], config: RunConfig, count: int, accuracy: AccuracySource
) -> Verification:
    """Train the `count` best different designs of a run again; the rank stands in for the arm.

    Raises:
        UsageError: the problem is the user's own.
    """
    first = [trial for trial in trials if trial.feasible and trial.duplicate_of is None]
    best = sorted(first, key=lambda trial: -trial.score)[:count]
    task = _trainable(config.task)
    ranked = [_winner(trial, task, rank) for rank, trial in enumerate(best, start=1)]
    return retrain(ranked, other_seeds(config.accuracy_seed, SEEDS), accuracy)


def _trainable(task: AnyTask) -> Task:
    if isinstance(task, Task):
        return task
    raise UsageError(f"scenario {task.name} is your own, and has no network to be trained again")


def other_seeds(seed: int, count: int) -> range:
    """Return training seeds that a search at accuracy seed `seed` did not use."""
    return range(seed + 1, seed + 1 + count)


def _winner(trial: Trial, task: Task, rank: int) -> Winner:
    evaluation = trial.evaluation
    assert evaluation is not None
    assert evaluation.cost is not None
    assert evaluation.accuracy is not None
    cost, mean = evaluation.cost, evaluation.accuracy.mean
    amounts = evaluation.score, mean, cost.energy_pj, cost.latency_ns
    return Winner(task, str(rank), evaluation.design, *amounts)


def retrain(
    best: Sequence[Winner],
    seeds: Sequence[int],
    accuracy: AccuracySource,
    names: Sequence[str] = (),
) -> Verification:
    """Have `accuracy`, which should train, answer for every winner at each of `seeds`.

    It is asked on the images of the exam, which no search ever saw.

    Args:
        best: designs to train.
        seeds: of the trainings.
        accuracy: trains.
        names: arms that count even where they have no winner at all.
    """
    queries = [
        winner.task.scenario.query(winner.design, winner.task.space, seed, images="exam")
        for winner in best
        for seed in seeds
    ]
    answers = accuracy(queries)
    verified = [
        judged(winner, answers[place * len(seeds) : (place + 1) * len(seeds)])
        for place, winner in enumerate(best)
    ]
    cells = _rewards(verified, len(seeds), names)
    scenarios = len({winner.scenario for winner in verified})
    draws = Resampling(max(scenarios, 1), len(seeds))  # of nothing, where nothing was feasible
    return Verification(
        winners=tuple(verified),
        arms=tuple(
            _arm(name, verified, draws.interval(own), scenarios) for name, own in cells.items()
        ),
        differences=tuple(
            Difference(arm=arm, against=other, reward=draws.interval(cells[arm] - cells[other]))
            for arm, other in combinations(cells, 2)
        ),
        scenarios=scenarios,
        kendall_tau=kendall_tau(verified),
    )


def _rewards(
    verified: Sequence[Verified], seeds: int, names: Sequence[str]
) -> Mapping[str, Floats]:
    """Return the rewards of each arm, [scenarios x seeds]; the paper's -1 without a winner."""
    places = {name: place for place, name in enumerate(dict.fromkeys(w.scenario for w in verified))}
    arms = dict.fromkeys([*names, *(w.arm for w in verified)])
    rewards = {arm: np.full((len(places), seeds), INFEASIBLE_REWARD) for arm in arms}
    for winner in verified:
        rewards[winner.arm][places[winner.scenario]] = winner.rewards
    return {arm: cells.ravel() for arm, cells in rewards.items()}


def judged(winner: Winner, answers: Sequence[Accuracy]) -> Verified:
    """Reward a winner at each of its new accuracies, held against the bare limit.

    Its margin is what the search had to keep.
    """
    scenario, accuracies = winner.task.scenario, [answer.mean for answer in answers]
    least = scenario.limits.accuracy
    kept = [accuracy >= (least or 0.0) for accuracy in accuracies]
    rewards = [
        float(scenario.objective.reward(accuracy, winner)) if keeps else INFEASIBLE_REWARD
        for accuracy, keeps in zip(accuracies, kept, strict=True)
    ]
    return Verified(
        scenario=winner.task.name,
        arm=winner.arm,
        design=json.dumps(winner.design.wire()),
        predicted_accuracy=winner.accuracy,
        accuracies=tuple(accuracies),
        predicted_reward=winner.reward,
        rewards=tuple(rewards),
        reward=float(np.mean(rewards)),
        holds=None if least is None else float(np.mean(kept)),
    )


def _arm(name: str, verified: Sequence[Verified], reward: Interval, scenarios: int) -> ArmVerified:
    """Sum up an arm; where it has no winner, the paper's -1 is predicted as it is found."""
    own = [winner for winner in verified if winner.arm == name]
    holds = [winner.holds for winner in own if winner.holds is not None]
    nothing = [INFEASIBLE_REWARD] * (scenarios - len(own))
    predicted = [*(winner.predicted_reward for winner in own), *nothing]
    bias = [winner.predicted_accuracy - np.mean(winner.accuracies) for winner in own]
    return ArmVerified(
        arm=name,
        winners=len(own),
        predicted_reward=float(np.mean(predicted)),
        reward=reward,
        accuracy_bias=float(np.mean(bias)) if bias else None,
        holds=float(np.mean(holds)) if holds else None,
    )


def kendall_tau(verified: Sequence[Verified]) -> float | None:
    """Return the agreement of predicted and new order within a scenario, mean; None: no order."""
    from scipy.stats import kendalltau

    taus = []
    for name in dict.fromkeys(winner.scenario for winner in verified):
        own = [winner for winner in verified if winner.scenario == name]
        predicted, again = [w.predicted_reward for w in own], [w.reward for w in own]
        if len(set(predicted)) > 1 and len(set(again)) > 1:
            taus.append(float(kendalltau(predicted, again).statistic))
    return float(np.mean(taus)) if taus else None
