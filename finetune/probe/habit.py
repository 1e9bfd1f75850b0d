"""The habit that the paper blames for GPT-4's failure: a search that enlarges kernels."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cim_sim.config import Config
from cim_sim.space import Design
from search.optimizers import model_of
from search.optimizers.gpt4_replay import rollouts
from search.record.runs import RunRecord, read_run
from search.stats import Interval, bootstrap_groups


class Habit(Config):
    """How a search moves from one proposed design to the next, by the sum of the kernels."""

    steps: int
    enlarges: Interval
    """Share of the steps; the interval is over searches, and one search has none."""
    shrinks: float
    """Share of the steps; the rest keeps the sum. Without a habit both shares are alike."""
    first: float
    """Mean kernel of the first designs."""
    last: float
    """Mean kernel of the last designs."""


def habits(runs: Sequence[Path]) -> dict[str, Habit]:
    """Return the habits of recorded runs, those of one model together, and of GPT-4's rollouts.

    Raises:
        UsageError: a directory holds no run.
    """
    searches: defaultdict[str, list[list[Design]]] = defaultdict(list)
    for path in runs:
        run = read_run(path)
        proposed = [trial.design for trial in run.trials if trial.design is not None]
        searches[_name(run)].append(proposed)
    for metric in ("energy", "latency"):
        searches[f"GPT-4, {metric}"].append(rollouts(metric))
    found = {name: [one for one in lists if len(one) > 1] for name, lists in searches.items()}
    return {name: habit(lists) for name, lists in found.items() if lists}


def habit(searches: Sequence[Sequence[Design]]) -> Habit:
    """Return the habit of searches of two designs or more."""
    sums = [[sum(kernel for _, kernel in one.layers) for one in designs] for designs in searches]
    changes = np.concatenate([np.diff(one) for one in sums])
    groups = np.repeat(range(len(sums)), [len(one) - 1 for one in sums])
    enlarges = bootstrap_groups(
        lambda rows: float((changes[rows] > 0).mean()), groups, np.random.default_rng(0), 2000
    )
    layers = len(searches[0][0].layers)
    return Habit(
        steps=len(changes),
        enlarges=enlarges.rounded(3),
        shrinks=round(float((changes < 0).mean()), 3),
        first=round(float(np.mean([one[0] for one in sums])) / layers, 2),
        last=round(float(np.mean([one[-1] for one in sums])) / layers, 2),
    )


def _name(run: RunRecord) -> str:
    model = model_of(run.config)
    return model.name if model else run.config.optimizer
