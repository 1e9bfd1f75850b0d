"""Accuracy against energy, latency and area: what no other design of an arm beats in both."""

from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np

from cim_sim.evaluate import AMOUNTS
from cim_sim.types import Floats, Indices
from search.comparison.equality import Arm
from search.comparison.result import Front
from search.record.runs import RunRecord
from search.study.scales import by_scenario

DECIMALS = 6


def front(costs: Floats, accuracies: Floats) -> Indices:
    """Return the places of the designs that no other beats in both, the cheapest first."""
    order = np.lexsort((-accuracies, costs))
    best = np.maximum.accumulate(accuracies[order])
    better = np.append(True, best[1:] > best[:-1])
    return np.asarray(order[better])


def hypervolume(costs: Floats, accuracies: Floats, worst: float) -> float:
    """Share of the box up to cost `worst` and accuracy 1 that some design dominates.

    The corner that is dominated by all is (worst, 0).
    """
    chosen = front(costs, accuracies)
    steps = np.diff(accuracies[chosen], prepend=0.0)
    return float((steps * (1 - costs[chosen] / worst)).sum())


def fronts_of(arms: Sequence[Arm]) -> Iterator[Front]:
    """Yield the fronts of every arm over all feasible designs of its runs, scenario by scenario."""
    every = by_scenario([run for arm in arms for run in arm.runs])
    for digest, runs in every.items():
        worst = _table(runs).max(axis=0, initial=0.0)
        for arm in arms:
            table = _table(by_scenario(arm.runs).get(digest, []))
            each = [_table(by_scenario(own).get(digest, [])) for own in arm.trainings.values()]
            for place, cost in enumerate(AMOUNTS if len(table) else ()):
                costs, accuracies = table[:, place], table[:, -1]
                chosen = front(costs, accuracies)
                points = zip(costs[chosen].tolist(), accuracies[chosen].tolist(), strict=True)
                yield Front(
                    scenario=runs[0].config.scenario.name,
                    arm=arm.name,
                    cost=cost,
                    points=tuple((float(f"{c:.5g}"), round(a, 4)) for c, a in points),
                    hypervolume=round(_mean_volume(each, place, worst[place]), DECIMALS),
                )


def _mean_volume(tables: Sequence[Floats], place: int, worst: float) -> float:
    """Mean over the trainings of an arm's model; together they have tried more than others."""
    found = [hypervolume(one[:, place], one[:, -1], worst) if len(one) else 0.0 for one in tables]
    return fmean(found)


def _table(runs: Sequence[RunRecord]) -> Floats:
    """Costs and accuracy of each feasible design, [designs, 4]."""
    rows = [
        (*trial.evaluation.amounts.values(), trial.evaluation.accuracy.mean)
        for run in runs
        for trial in run.trials
        if trial.feasible and trial.evaluation and trial.evaluation.accuracy
    ]
    return np.array(rows).reshape(-1, len(AMOUNTS) + 1)
