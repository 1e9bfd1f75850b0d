"""Best reward so far against episodes, one colour an arm, one thin line a seed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from search.comparison.compare import Comparison
from search.comparison.equality import Arm
from search.stats import best_so_far, rewards_of


def draw(arms: Sequence[Arm], comparison: Comparison, path: Path) -> None:
    """Write the figure as PNG; the thick line is the mean once all seeds have found something."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for index, arm in enumerate(arms):
        length = min(len(run.trials) for run in arm.runs)
        curves = np.array([best_so_far(rewards_of(run.trials[:length])) for run in arm.runs])
        episodes, colour = np.arange(1, length + 1), f"C{index}"
        if len(curves) > 1:
            axes.step(episodes, curves.T, where="post", color=colour, linewidth=0.6, alpha=0.5)
        mean = curves.mean(axis=0)
        axes.step(episodes, mean, where="post", color=colour, linewidth=2, label=arm.name)
        axes.plot(episodes[-1], mean[-1], "o", color=colour, markersize=4)
    if comparison.optimum is not None:
        known = comparison.optimum_source == "given"
        label = "best known" if known else comparison.optimum_source
        axes.axhline(comparison.optimum, color="0.4", linestyle=":", linewidth=1, label=label)
    axes.axvline(comparison.budget, color="0.8", linewidth=1, zorder=0)
    axes.set(xlabel="episode", ylabel="best reward so far", title=comparison.scenario)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
