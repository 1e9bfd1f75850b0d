"""Mean reward by episode: the first 20, which the paper gives a language model, and the rest."""

from collections.abc import Iterator, Sequence

import numpy as np

from cim_sim.types import Floats
from search.comparison.equality import Arm
from search.comparison.result import Rewards
from search.record.runs import RunRecord
from search.stats import rewards_of
from search.study.scales import by_scenario

EARLY = 20
"""Episodes of the paper's Figure 3 (a); (b) shows those after them."""
DECIMALS = 4


def rewards_by_episode(arms: Sequence[Arm]) -> Iterator[Rewards]:
    """Yield the mean rewards of every arm, scenario by scenario."""
    for digest, runs in by_scenario([run for arm in arms for run in arm.runs]).items():
        for arm in arms:
            table = _table(by_scenario(arm.runs).get(digest, []))
            bests = [row[~np.isnan(row)].max() for row in table if not np.isnan(row).all()]
            yield Rewards(
                scenario=runs[0].config.scenario.name,
                arm=arm.name,
                mean=tuple(_mean(column) for column in table.T),
                best=_mean(np.array(bests)),
            )


def _mean(values: Floats) -> float | None:
    """Mean of what is there; None where nothing is."""
    there = values[~np.isnan(values)]
    return round(float(there.mean()), DECIMALS) if len(there) else None


def _table(runs: Sequence[RunRecord]) -> Floats:
    """Reward after each trial, [runs, episodes]; NaN: infeasible, failed, or not yet there."""
    rows = [rewards_of(run.trials) for run in runs]
    table = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return table
