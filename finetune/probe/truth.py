"""What the simulator says of two designs that differ in the kernel of one layer.

Exact cost, accuracy by the surrogate. Five matters are asked about: accuracy under the variation,
latency, utilisation (how full the arrays are), reward, and which of the two is feasible.
"""

from typing import Literal, NamedTuple, get_args

import numpy as np

from cim_sim.scenario import ACCURACY_MARGIN
from cim_sim.types import Bools, Floats, Indices
from search.landscape import predicted, prices
from search.record.tasks import Task

Kind = Literal["accuracy", "latency", "utilisation", "reward", "feasible"]
KINDS: tuple[Kind, ...] = get_args(Kind)

CLEAR_ACCURACY = ACCURACY_MARGIN
"""Least difference of two accuracies, and of two rewards, of which accuracy is a term.

Repeated trainings of one network in the accuracy table differ by a standard deviation of .041
(118 networks on `shapes`); so two means of three trainings each confirm the sign of a difference
of .05 with probability .93. No larger threshold leaves questions: from .08 on the larger kernel is
the more accurate one in all but 4 of 2,580 pairs (24 scenarios of `near`).
"""
CLEAR_COST = 0.02
"""Least difference of latencies and utilisations, as a share. Both are exact, without noise."""


class Values(NamedTuple):
    """What is known of a population, all [designs]; NaN where there is no floorplan."""

    accuracy: Floats
    latency_ns: Floats
    utilisation: Floats
    reward: Floats
    allowed: Bools
    """There is a floorplan, and the area keeps its limit."""
    feasible: Bools
    """Allowed, and the accuracy keeps its limit."""


class Compared(NamedTuple):
    """Pairs of designs, of which the second has the larger kernel."""

    advantage: dict[Kind, Floats]
    """Of each matter: by how much the larger kernel is the better one, [pairs]; NaN: unknown."""
    clear: dict[Kind, Bools]
    """Whether that is worth a question: both are feasible and clearly apart, [pairs]."""


def compared(task: Task, smaller: Indices, larger: Indices) -> Compared:
    """Compare pairs of designs of a task's space, [pairs, parameters] each."""
    low, high = (values_of(task, side, true_accuracy(task, side)) for side in (smaller, larger))
    advantage = advantages(low, high)
    both, apart = low.feasible & high.feasible, np.abs(advantage["accuracy"]) >= CLEAR_ACCURACY
    clear: dict[Kind, Bools] = {
        "accuracy": both & apart,
        "latency": both & (np.abs(advantage["latency"]) >= CLEAR_COST),
        "utilisation": both & (np.abs(advantage["utilisation"]) >= CLEAR_COST),
        "reward": both & (np.abs(advantage["reward"]) >= CLEAR_ACCURACY),
        # Where both chips may be built, the accuracies decide and must be clearly apart too.
        "feasible": (low.feasible != high.feasible) & (apart | ~(low.allowed & high.allowed)),
    }
    return Compared(advantage, clear)


def advantages(low: Values, high: Values) -> dict[Kind, Floats]:
    """Return by how much the second of each pair is the better one, [pairs] for each matter."""
    return {
        "accuracy": high.accuracy - low.accuracy,
        "latency": np.log(low.latency_ns / high.latency_ns),
        "utilisation": np.log(high.utilisation / low.utilisation),
        "reward": high.reward - low.reward,
        "feasible": high.feasible.astype(float) - low.feasible,
    }


def surrogate_table() -> str:
    """Return the digest of the accuracy table behind all labels."""
    from cim_sim.accuracy.surrogate.model import load

    return load().fitted.table_digest


def true_accuracy(task: Task, population: Indices) -> Floats:
    """Return the accuracies of a population, [designs], by the evaluator `surrogate`."""
    from cim_sim.accuracy.surrogate.model import load

    return predicted(task.scenario, task.space, load())(population)


def values_of(task: Task, population: Indices, accuracy: Floats) -> Values:
    """Evaluate a population, [designs, parameters], of which accuracies are known or expected."""
    scenario = task.scenario
    price = prices(scenario, task.space, population)
    return Values(
        accuracy=accuracy,
        latency_ns=price.latency_ns,
        utilisation=price.utilisation,
        reward=scenario.objective.reward(accuracy, price),
        allowed=price.allowed,
        feasible=price.allowed & (scenario.limits.accuracy_shortfall(accuracy) <= 0),
    )
