"""What a sweep came to, in files: all trials, the arms, and a Markdown page that explains them.

`sweep.json` and `verified.json` are small and are kept for what the documents say: a folder of them
has one page, rendered from nothing else.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cim_sim.cards import table
from cim_sim.config import Config, UsageError, load
from cim_sim.files import write_table, write_whole
from search.study.sweep import FamilyPart, Job, SweepConfig
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

RESULT, VERIFIED = "sweep.json", "verified.json"


class SweepResult(Config):
    """What a finished sweep came to: sweep.json."""

    tasks: str
    """Which scenarios: a split of the family with the number of tasks, or a list."""
    judge: str
    """The evaluator."""
    arms: tuple[ArmSummary, ...]
    trials: int
    """Number of recorded trials."""
    scale_source: str
    """Where the optimum of each scenario comes from."""
    scenarios: tuple[int, int]
    """How many have a scale of regret, and how many there were."""
    seeds: int
    """How many runs each arm had in each of them."""


def report(config: SweepConfig, tasks: Sequence[Job], out: Path) -> SweepResult:
    """Write trials.parquet, sweep.md and sweep.json of a finished sweep.

    Raises:
        OSError: one of them cannot be written.
    """
    trials = trial_table(tasks)
    write_table(out / "trials.parquet", trials)
    scales = scales_of(config, trials)
    part = config.scenarios
    result = SweepResult(
        tasks=f"{part.count} of {part.split}" if isinstance(part, FamilyPart) else "listed",
        judge=config.evaluator,
        arms=tuple(with_givens(summarise(trials, scales), tasks)),
        trials=len(trials),
        scale_source=next(iter(scales.values())).source if scales else "unknown",
        scenarios=(len(scales), len(config.tasks)),
        seeds=config.seeds,
    )
    write_whole(out / "sweep.md", page(result))
    write_whole(out / RESULT, result.model_dump_json(indent=1) + "\n")
    return result


def page(result: SweepResult) -> str:
    """Return the Markdown text of a sweep: its table and what the columns mean."""
    return "\n".join([*_arms(result), "", _means(result), LEGEND, ""])


def results_page(folder: Path) -> str:
    """Return one page of all sweeps whose results lie in the folders of `folder`.

    Raises:
        UsageError: there is none, or a file is damaged.
    """
    found = sorted(folder.glob(f"*/{RESULT}"))
    if not found:
        raise UsageError(f"{folder}: no */{RESULT} in it; make one: python -m search sweep")
    return "\n".join([LEGEND, "", *(line for file in found for line in _section(file))])


def _section(file: Path) -> Iterator[str]:
    result = load(file, SweepResult)
    yield from (f"### {file.parent.name}", "", f"Tasks: {result.tasks}; {result.judge}.", "")
    yield from (*_arms(result), "", _means(result), "")
    if (verified := file.with_name(VERIFIED)).is_file():
        yield "Re-trained winners:"
        yield from ("", verified_page(load(verified, Verification)))


def _arms(result: SweepResult) -> list[str]:
    arms = result.arms
    shown = [episode for episode in CHECKPOINTS if any(episode in arm.regret for arm in arms)]
    head = ["optimiser", "screen", *(f"@{episode}" for episode in shown)]
    head += ["infeasible", "duplicates", "first feasible", "never", "ms/episode", "given"]
    return table(head, [_cells(arm, shown) for arm in arms])


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


LEGEND = (
    "@N: normalised regret after N episodes, (optimum - best so far) / (optimum - median feasible "
    "random), 1 until something is feasible, with 95 % bootstrap intervals (scenarios resampled, "
    "then seeds). Infeasible and duplicates: shares of the episodes. First feasible: median "
    "episode. Never: share of the runs that found nothing feasible. Screen N: the first of up to N "
    "proposals that the free cost model finds feasible and new takes the slot. Given: what an "
    "optimiser had beside the results of its own search; an oracle asks the judge itself."
)


def _means(result: SweepResult) -> str:
    scaled, every = result.scenarios
    without = f" (of {every}; the others have no scale of regret)" if scaled < every else ""
    return (
        f"Means over {scaled} scenarios{without} x {result.seeds} seeds. "
        f"Optimum: {result.scale_source}."
    )
