"""What a sweep came to, in files: all trials, the arms, and a Markdown page that explains them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cim_sim.cards import table
from cim_sim.files import write_table, write_whole
from search.study.sweep import Job, SweepConfig
from search.study.sweep_table import (
    CHECKPOINTS,
    ArmSummary,
    scales_of,
    summarise,
    with_givens,
)
from search.study.sweep_table import (
    table as trial_table,
)
from search.study.verify import Verification


class Report(NamedTuple):
    """What a finished sweep came to."""

    text: str
    """The Markdown page."""
    arms: list[ArmSummary]
    trials: int
    """Number of recorded trials."""


def report(config: SweepConfig, tasks: Sequence[Job], out: Path) -> Report:
    """Write trials.parquet, sweep.md and sweep.json of a finished sweep.

    Raises:
        OSError: one of them cannot be written.
    """
    trials = trial_table(tasks)
    write_table(out / "trials.parquet", trials)
    scales = scales_of(config, trials)
    arms = with_givens(summarise(trials, scales), tasks)
    source = next(iter(scales.values())).source if scales else "unknown"
    text = page(arms, source, (len(scales), len(config.tasks)), config.seeds)
    write_whole(out / "sweep.md", text)
    records = [arm.model_dump(mode="json") for arm in arms]
    write_whole(out / "sweep.json", json.dumps(records, indent=2) + "\n")
    return Report(text, arms, len(trials))


def page(
    arms: Sequence[ArmSummary], scale_source: str, scenarios: tuple[int, int], seeds: int
) -> str:
    """Return the Markdown text.

    Args:
        arms: what `sweep_table.summarise` returns.
        scale_source: where the optimum of each scenario comes from.
        scenarios: how many have a scale of regret, and how many there were.
        seeds: how many runs each arm had in each of them.
    """
    shown = [episode for episode in CHECKPOINTS if any(episode in arm.regret for arm in arms)]
    head = ["optimiser", "screen", *(f"@{episode}" for episode in shown)]
    head += ["infeasible", "duplicates", "first feasible", "never", "ms/episode", "given"]
    lines = table(head, [_cells(arm, shown) for arm in arms])
    return "\n".join([*lines, "", _legend(scale_source, scenarios, seeds), ""])


def verified_page(result: Verification) -> str:
    """Return the table of arms after re-training."""
    head = ["optimiser", "reward, predicted", "reward, re-trained"]
    head += ["accuracy, predicted less re-trained", "keeps the least accuracy"]
    rows = [
        (
            arm.arm,
            f"{arm.predicted_reward:.3f}",
            f"{arm.reward:.3f}",
            f"{arm.accuracy_bias:+.3f}",
            _share(arm.holds),
        )
        for arm in result.arms
    ]
    tau = "undefined" if result.kendall_tau is None else f"{result.kendall_tau:.2f}"
    order = (
        f"Means over the {result.scenarios[0]} of {result.scenarios[1]} scenarios in which every "
        "optimiser found something feasible; each winner is the best of all its episodes and "
        "seeds. A winner that misses the least accuracy after re-training counts as -1. "
        f"Kendall tau between predicted and re-trained order within a scenario: {tau}."
    )
    return "\n".join([*table(head, rows), "", order, ""])


def top_page(result: Verification) -> str:
    """Return the table of one run's best designs after re-training, as the run ranked them."""
    head = ["rank", "design", "accuracy", "re-trained", "reward", "re-trained"]
    rows = [
        (
            winner.arm,
            winner.design,
            f"{winner.predicted_accuracy:.3f}",
            " ".join(f"{accuracy:.3f}" for accuracy in winner.accuracies),
            f"{winner.predicted_reward:.3f}",
            f"{winner.reward:.3f}",
            _share(winner.holds),
        )
        for winner in result.winners
    ]
    return "\n".join([*table([*head, "keeps the least accuracy"], rows), ""])


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _cells(arm: ArmSummary, shown: Sequence[int]) -> list[str]:
    first = "none" if arm.first_feasible is None else f"{arm.first_feasible:g}"
    regrets = [f"{arm.regret[at]:.3f}" if at in arm.regret else "" for at in shown]
    shares = [f"{share:.0%}" for share in (arm.infeasible, arm.duplicates)]
    ends = [first, f"{arm.never_feasible:.0%}", f"{arm.ms_per_episode:.1f}", arm.given.words]
    name = f"{arm.arm} (oracle)" if arm.oracle else arm.arm
    return [name, str(arm.screen or "-"), *regrets, *shares, *ends]


def _legend(scale_source: str, scenarios: tuple[int, int], seeds: int) -> str:
    scaled, every = scenarios
    without = f" (of {every}; the others have no scale of regret)" if scaled < every else ""
    return (
        f"@N: normalised regret after N episodes, (optimum - best so far) / (optimum - median "
        f"feasible random), 1 until something is feasible; mean over {scaled} scenarios{without} x "
        f"{seeds} seeds with 95 % bootstrap intervals (scenarios resampled, then seeds). Optimum: "
        f"{scale_source}. Infeasible and duplicates: shares of the episodes. First feasible: "
        "median episode. Never: share of the runs that found nothing feasible. Screen N: the "
        "first of up to N proposals that the free cost model finds feasible and new takes the "
        "slot. Given: what an optimiser had beside the results of its own search; an oracle asks "
        "the judge itself."
    )
