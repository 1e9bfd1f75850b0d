"""Static figures for papers: regret by episode, and the claims with their intervals."""

from pathlib import Path
from typing import TYPE_CHECKING

from search.comparison.result import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
"""Okabe and Ito's, which the colour-blind can tell apart, without the yellow that white hides."""
DASHES = ("solid", "dash", "dot")
"""For the arms beyond the colours, in the words of plotly."""
IN_MATPLOTLIB = {"solid": "-", "dash": "--", "dot": ":"}


def style(place: int) -> tuple[str, str]:
    """Return colour and dash of the arm at that place, the same in every figure."""
    return PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE) % len(DASHES)]


def draw(comparison: Comparison, out: Path) -> None:
    """Write regret.png and .svg, and claims.png and .svg when there are claims."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    _regret(figure.subplots(), comparison)
    _save(figure, out / "regret")
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
        if arm.low and arm.high:
            axes.fill_between(
                episodes, arm.low, arm.high, step="post", color=colour, alpha=0.12, linewidth=0
            )
    longest = max(arm.episodes for arm in comparison.arms)
    axes.set(xlabel="episode", ylabel="normalised regret", ylim=(0, 1.02), xlim=(1, longest * 1.05))
    if longest > 50:
        axes.set_xscale("log")
    axes.legend(frameon=False, fontsize="small", ncols=1 + len(comparison.arms) // 8)
    axes.spines[["top", "right"]].set_visible(False)


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


def _save(figure: "Figure", stem: Path) -> None:
    """Write PNG and SVG without dates and with fixed names inside: equal figures, equal bytes."""
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": stem.name}):
        figure.savefig(stem.with_suffix(".png"), dpi=150, metadata={"Software": None})
        figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None, "Creator": None})
