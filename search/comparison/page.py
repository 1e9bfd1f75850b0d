"""A comparison as a Markdown page: one table, and plain sentences on what it does not show."""

import json
from pathlib import Path

from cim_sim.cards import render
from search.comparison.compare import ArmResult, Comparison, Difference
from search.stats import Interval

FEW = 5
"""Seeds below which a bootstrap interval is known to be too narrow."""
STAND_IN = (
    "is the embedded base, or was tuned from it: a tiny stand-in for a general language model, "
    "so its figures say nothing about real ones."
)


def page(comparison: Comparison) -> str:
    """Return the Markdown text."""
    return render(
        Path(__file__).with_name("comparison.md.jinja"),
        c=comparison,
        notes=notes(comparison),
        number=number,
        estimate=estimate,
        each=each,
        best_design=best_design,
        whole=whole,
    )


def notes(comparison: Comparison) -> list[str]:
    """Say what a reader must know before believing the table."""
    arms = comparison.arms
    notes = [f"{arm.name} {STAND_IN}" for arm in arms if arm.stand_in]
    notes += [
        f"{arm.name} was trained on data of this very scenario: its result shows memory, "
        "not what it learnt for new ones."
        for arm in arms
        if arm.trained_on_this_scenario
    ]
    single = [arm.name for arm in arms if len(arm.runs) == 1]
    if single:
        notes.append(
            f"One seed only for {', '.join(single)}: it allows no interval, and a difference "
            "from one seed may be chance."
        )
    few = [f"{arm.name} ({len(arm.runs)})" for arm in arms if 1 < len(arm.runs) < FEW]
    if few:
        notes.append(
            f"Few seeds: {', '.join(few)}. "
            f"Bootstrap intervals over fewer than {FEW} are too narrow."
        )
    notes += [
        _verdict(pair)
        for pair in comparison.differences
        if pair.difference.contains_zero is not None
    ]
    notes += [
        f"{run.path} is {run.status}: it has {run.episodes} episodes and was not finished."
        for arm in arms
        for run in arm.runs
        if run.status != "done"
    ]
    notes += _nothing_feasible(arms)
    if not any(arm.optimizer == "random" for arm in arms):
        notes.append("There is no random arm, so nothing shows that any search is needed at all.")
    return notes


def number(value: float | None) -> str:
    """Four decimals, or a dash."""
    return "-" if value is None else f"{value:.4f}"


def estimate(value: Interval | None) -> str:
    """A mean with its interval, where there is one."""
    return "-" if value is None else f"{value:.4f}"


def each(arm: ArmResult, field: str) -> str:
    """A count of each run of an arm, in the order of its seeds."""
    values = [getattr(run.at_budget, field) for run in arm.runs]
    return ", ".join("-" if value is None else str(value) for value in values)


def best_design(arm: ArmResult) -> str:
    """The best design of all seeds at the common budget, in wire format."""
    best = max(
        (run.at_budget for run in arm.runs if run.at_budget.best_reward is not None),
        key=lambda summary: summary.best_reward or 0.0,
        default=None,
    )
    return "-" if best is None else f"`{json.dumps(best.best_design)}`"


def whole(arm: ArmResult) -> str:
    """The best of each run over all its episodes."""
    return ", ".join(f"{number(run.best_of_all)} ({run.episodes})" for run in arm.runs)


def _verdict(pair: Difference) -> str:
    difference = f"{pair.arm} minus {pair.against}: {estimate(pair.difference)}"
    if pair.difference.contains_zero:
        return f"{difference}; the interval contains zero: no difference is shown."
    return f"{difference}; the interval does not contain zero."


def _nothing_feasible(arms: list[ArmResult]) -> list[str]:
    empty = {
        arm.name: [r.seed for r in arm.runs if r.at_budget.best_reward is None] for arm in arms
    }
    return [
        f"{name} found nothing feasible with seed {', '.join(map(str, seeds))}; that counts as -1."
        for name, seeds in empty.items()
        if seeds
    ]
