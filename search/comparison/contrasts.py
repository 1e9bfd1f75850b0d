"""Language models against rivals, objective by objective, and after different episodes.

Claims compare arms at equal budgets over all scenarios. The paper compares 20 episodes of a model
with 500 of a rival, and a model may be good at one objective alone. These differences are not
corrected for their number.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from cim_sim.types import Bools, Floats
from search.comparison.claims import rivals_of
from search.comparison.result import ALL, ArmResult, Contrast
from search.comparison.rewards import EARLY
from search.stats import Resampling

FIRST = (1, 5)
"""Episodes, before the paper's 20, after which arms are compared too."""


def contrasts_of(
    arms: Sequence[ArmResult], curves: Mapping[str, Floats], metrics: Sequence[str], seeds: int
) -> Iterator[Contrast]:
    """Yield how far each language model lies below each rival.

    Args:
        arms: all of them.
        curves: regret of each arm, [cells, episodes]; the cells of a scenario stand together.
        metrics: objective of each cell.
        seeds: cells of each scenario.
    """
    parts = _parts(metrics, seeds)
    for arm, rival in rivals_of(arms):
        ours, theirs = curves[arm.name], curves[rival.name]
        for own, other in _episodes(arm.episodes, rival.episodes):
            difference = theirs[:, other - 1] - ours[:, own - 1]
            for metric, (rows, resampling) in parts.items():
                yield Contrast(
                    arm=arm.name,
                    against=rival.name,
                    metric=metric,
                    episodes=own,
                    rival_episodes=other,
                    difference=resampling.interval(difference[rows]).rounded(4),
                )


def _parts(metrics: Sequence[str], seeds: int) -> dict[str, tuple[Bools, Resampling]]:
    """Return the cells of all objectives together and, where there are several, of each."""
    every = {ALL: np.ones(len(metrics), dtype=bool)}
    names = sorted(set(metrics))
    if len(names) > 1:
        every |= {name: np.array([one == name for one in metrics]) for name in names}
    return {
        name: (rows, Resampling(int(rows.sum()) // seeds, seeds)) for name, rows in every.items()
    }


def _episodes(own: int, other: int) -> list[tuple[int, int]]:
    """Return equal episodes, and the paper's 20 and its whole budget against all of the rival's."""
    equal = [(at, at) for at in (*FIRST, EARLY) if at <= min(own, other)]
    whole = [(at, other) for at in sorted({EARLY, own}) if EARLY <= at <= min(own, other - 1)]
    return [*equal, *whole]


def rows_of(contrasts: Sequence[Contrast]) -> tuple[list[str], list[list[str]]]:
    """Return heads and lines of a table: arm and rival, and a column for each objective."""
    metrics = list(dict.fromkeys(one.metric for one in contrasts))
    lines = []
    for key, group in groupby(
        contrasts, key=lambda one: (one.arm, one.episodes, one.against, one.rival_episodes)
    ):
        arm, own, rival, other = key
        found = {one.metric: f"{one.difference:.3f}" for one in group}
        lines.append([f"{arm} @{own}", f"{rival} @{other}", *(found[name] for name in metrics)])
    return ["arm", "is below", *metrics], lines
