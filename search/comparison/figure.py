"""Static figures for papers: regret and reward by episode, fronts, claims with intervals."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cim_sim.evaluate import AMOUNTS
from search.comparison.result import Comparison, Front, Reference, Rewards
from search.comparison.rewards import EARLY

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
RowT = TypeVar("RowT", Rewards, Front, Reference)
IN_MATPLOTLIB = {"solid": "-", "dash": "--", "dot": ":"}


def style(place: int) -> tuple[str, str]:
    """Return colour and dash of the arm at that place, the same in every figure."""
    return PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE) % len(DASHES)]


def draw(comparison: Comparison, out: Path) -> None:
    """Write each figure as .png and .svg."""
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):  # the names of arms may hold a $
        for stem, figure in figures(comparison):
            _save(figure, out / stem)


def figures(comparison: Comparison) -> Iterator[tuple[str, "Figure"]]:
    """Yield the figures that there is something to draw for, each with its name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    _regret(figure.subplots(), comparison)
    yield "regret", figure
    scenario = comparison.scenarios[0].name
    longest = max(arm.episodes for arm in comparison.arms)
    if longest > EARLY:
        figure = Figure(figsize=(10, 3.9), layout="constrained")
        widths = (1, 2) if longest > 2 * EARLY else (3, 1)
        early, late = figure.subplots(1, 2, sharey=True, width_ratios=widths)
        _early(early, comparison, scenario)
        _late(late, comparison, scenario)
        _legend_below(figure, early)
        figure.suptitle(f"{scenario}: mean reward by episode", fontsize="medium")
        yield "rewards", figure
    if comparison.fronts:
        figure = Figure(figsize=(10, 3.9), layout="constrained")
        for axes, cost in zip(figure.subplots(1, len(AMOUNTS), sharey=True), AMOUNTS, strict=True):
            _fronts(axes, comparison, scenario, cost)
        _legend_below(figure, figure.axes[0])
        figure.suptitle(f"{scenario}: accuracy against cost", fontsize="medium")
        yield "fronts", figure
    if comparison.claims:
        height = 1.2 + 0.28 * len(comparison.claims)
        figure = Figure(figsize=(7, height), layout="constrained")
        _claims(figure.subplots(), comparison)
        yield "claims", figure


def _regret(axes: "Axes", comparison: Comparison) -> None:
    for arm, line in zip(comparison.arms, _lines(comparison).values(), strict=True):
        episodes, colour = range(1, arm.episodes + 1), line["color"]
        axes.step(episodes, arm.curve, where="post", label=arm.name, linewidth=1.8, **line)
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


def _early(axes: "Axes", comparison: Comparison, scenario: str) -> None:
    """Draw the first episodes: the paper's Figure 3 (a)."""
    lines = _lines(comparison)
    for one in _of(comparison.rewards, scenario):
        mean = _numbers(one.mean[:EARLY])
        axes.plot(range(1, len(mean) + 1), mean, marker=".", label=one.arm, **lines[one.arm])
    axes.set(xlabel="episode", ylabel="reward", xlim=(0, EARLY + 1), xticks=(1, 5, 10, 15, 20))
    axes.spines[["top", "right"]].set_visible(False)


def _late(axes: "Axes", comparison: Comparison, scenario: str) -> None:
    """Draw the others, Figure 3 (b): of an arm that has ended, the best that it found, dotted."""
    from matplotlib.ticker import MaxNLocator

    lines, longest = _lines(comparison), max(arm.episodes for arm in comparison.arms)
    for one in _of(comparison.rewards, scenario):
        mean = _numbers(one.mean[EARLY:])
        if mean:
            axes.plot(range(EARLY + 1, EARLY + 1 + len(mean)), mean, **lines[one.arm])
        elif one.best is not None:
            dotted = lines[one.arm] | {"linestyle": ":"}
            axes.plot((EARLY + 1, longest), (one.best, one.best), **dotted)
    axes.set(xlabel="episode", xlim=(EARLY, longest + 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)


def _fronts(axes: "Axes", comparison: Comparison, scenario: str, cost: str) -> None:
    """Draw what no other design of an arm beats in both, as steps."""
    name, unit = SHOWN[cost]
    lines = _lines(comparison)
    for front in _of(comparison.fronts, scenario):
        if front.cost == cost:
            costs = [point[0] * unit for point in front.points]
            accuracies = [point[1] for point in front.points]
            line = lines[front.arm] | {"marker": ".", "label": front.arm}
            axes.step(costs, accuracies, where="post", **line)
    for one in _of(comparison.references, scenario):
        if cost in one.costs:
            _reference(axes, one.name, one.costs[cost] * unit)
    axes.set_xlabel(name)
    _logarithmic(axes)
    axes.spines[["top", "right"]].set_visible(False)
    if cost == AMOUNTS[0]:
        axes.set_ylabel("accuracy under variation")


def _legend_below(figure: "Figure", axes: "Axes") -> None:
    """Name the arms outside the panels, where no line runs through the names."""
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(len(names), 6),
        frameon=False,
        fontsize="small",
    )


def _reference(axes: "Axes", name: str, cost: float) -> None:
    """Draw a chip whose accuracy is not known: a line through all of them."""
    axes.axvline(cost, color="0.4", linestyle="--", linewidth=0.8)
    axes.annotate(
        f"{name}, {cost:g}",
        (cost, 0.02),
        xycoords=("data", "axes fraction"),
        rotation=90,
        ha="right",
        va="bottom",
        fontsize="x-small",
        color="0.4",
    )


def _of(rows: Sequence[RowT], scenario: str) -> list[RowT]:
    return [row for row in rows if row.scenario == scenario]


def _lines(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """How each arm's line looks, in the words of matplotlib."""
    styles = {arm.name: style(place) for place, arm in enumerate(comparison.arms)}
    return {
        name: {"color": colour, "linestyle": IN_MATPLOTLIB[dash]}
        for name, (colour, dash) in styles.items()
    }


def _numbers(values: Sequence[float | None]) -> list[float]:
    """Make gaps of what is not there."""
    return [float("nan") if value is None else value for value in values]


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
