"""Static figures for papers: regret by episode, claims with their intervals, and fronts."""

from pathlib import Path
from typing import TYPE_CHECKING

from cim_sim.evaluate import AMOUNTS
from search.comparison.result import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
"""Okabe and Ito's, which the colour-blind can tell apart, without the yellow that white hides."""
DASHES = ("solid", "dash", "dot")
"""For the arms beyond the colours, in the words of plotly."""
MOST_BANDS = 3
"""Arms beyond which the bands of their intervals would hide one another."""
SHOWN = {"energy_pj": ("energy, uJ", 1e-6), "latency_ns": ("latency, us", 1e-3)}
SHOWN |= {"area_um2": ("area, mm2", 1e-6)}
IN_MATPLOTLIB = {"solid": "-", "dash": "--", "dot": ":"}


def style(place: int) -> tuple[str, str]:
    """Return colour and dash of the arm at that place, the same in every figure."""
    return PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE) % len(DASHES)]


def draw(comparison: Comparison, out: Path) -> None:
    """Write regret and, when there are any, fronts and claims, each as .png and .svg."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    _regret(figure.subplots(), comparison)
    _save(figure, out / "regret")
    if comparison.fronts:
        scenario = comparison.scenarios[0].name
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        for axes, cost in zip(figure.subplots(1, len(AMOUNTS), sharey=True), AMOUNTS, strict=True):
            _fronts(axes, comparison, scenario, cost)
        figure.suptitle(f"{scenario}: accuracy against cost", fontsize="medium")
        _save(figure, out / "fronts")
    if comparison.claims:
        height = 1.2 + 0.28 * len(comparison.claims)
        figure = Figure(figsize=(7, height), layout="constrained")
        _claims(figure.subplots(), comparison)
        _save(figure, out / "claims")


def _regret(axes: "Axes", comparison: Comparison) -> None:
    for place, arm in enumerate(comparison.arms):
        colour, dash = style(place)
        episodes = range(1, arm.episodes + 1)
        line = {"color": colour, "linestyle": IN_MATPLOTLIB[dash], "linewidth": 1.8}
        axes.step(episodes, arm.curve, where="post", label=arm.name, **line)
        axes.plot(arm.episodes, arm.curve[-1], "o", color=colour, markersize=4)
        if arm.low and arm.high and len(comparison.arms) <= MOST_BANDS:
            axes.fill_between(
                episodes, arm.low, arm.high, step="post", color=colour, alpha=0.12, linewidth=0
            )
    longest = max(arm.episodes for arm in comparison.arms)
    axes.set(xlabel="episode", ylabel="normalised regret", ylim=(0, 1.02), xlim=(1, longest * 1.05))
    if longest > 50:
        _logarithmic(axes)
    axes.legend(frameon=False, fontsize="small", ncols=1 + len(comparison.arms) // 8)
    axes.spines[["top", "right"]].set_visible(False)


def _fronts(axes: "Axes", comparison: Comparison, scenario: str, cost: str) -> None:
    """Draw what no other design of an arm beats in both, as steps."""
    name, unit = SHOWN[cost]
    for place, arm in enumerate(comparison.arms):
        colour, dash = style(place)
        for front in comparison.fronts:
            if (front.scenario, front.arm, front.cost) == (scenario, arm.name, cost):
                costs = [point[0] * unit for point in front.points]
                accuracies = [point[1] for point in front.points]
                line = {"color": colour, "linestyle": IN_MATPLOTLIB[dash], "marker": "."}
                axes.step(costs, accuracies, where="post", label=arm.name, **line)
    axes.set_xlabel(name)
    _logarithmic(axes)
    axes.spines[["top", "right"]].set_visible(False)
    if cost == AMOUNTS[0]:
        axes.set_ylabel("accuracy under variation")
        axes.legend(frameon=False, fontsize="x-small")


def _claims(axes: "Axes", comparison: Comparison) -> None:
    names = []
    for place, claim in enumerate(comparison.claims):
        ends, colour = claim.difference, PALETTE[0] if claim.shown else "0.6"
        axes.plot(ends.mean, place, "o", color=colour)
        if ends.low is not None and ends.high is not None:
            axes.plot([ends.low, ends.high], [place, place], color=colour)
        names.append(f"{claim.arm} against {claim.against} @{claim.episodes}")
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("regret of the rival less that of the arm: right of 0 the arm is better")
    axes.spines[["top", "right"]].set_visible(False)


def _logarithmic(axes: "Axes") -> None:
    """Make the x axis logarithmic, with ticks at 1, 2 and 5, written in full."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _save(figure: "Figure", stem: Path) -> None:
    """Write PNG and SVG without dates and with fixed names inside: equal figures, equal bytes."""
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": stem.name}):
        figure.savefig(stem.with_suffix(".png"), dpi=150, metadata={"Software": None})
        figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None, "Creator": None})
