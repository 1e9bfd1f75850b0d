"""The trials of a sweep as one table, and what they come to: regret, feasibility, first success."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cim_sim.config import Config, load
from cim_sim.evaluate import AMOUNTS
from cim_sim.types import Floats
from search.optimizers import is_oracle
from search.record.given import Given
from search.record.manifest import Manifest
from search.record.runs import RunRecord, read_run
from search.record.trace import Trial
from search.stats import Interval, RegretEnds, best_so_far, bootstrap, normalised_regret
from search.study.optimum import TOLERANCE, known
from search.study.sweep import Job, SweepConfig

if TYPE_CHECKING:
    import pandas as pd

CHECKPOINTS = (1, 5, 10, 20, 50, 100, 200, 500)
"""Episodes after which regret is told."""
BOOTSTRAP_SEED = 0


class ArmSummary(Config):
    """One optimiser of a sweep, with or without screening, over all scenarios and seeds."""

    arm: str
    screen: int
    runs: int
    regret: dict[int, Interval]
    """By episode."""
    infeasible: float
    """Share of the episodes."""
    duplicates: float
    """Share of the episodes."""
    first_feasible: float | None
    """Episodes to the first feasible design, that one included; median over the runs. None: half
    of them or more found none."""
    never_feasible: float
    """Share of the runs."""
    ms_per_episode: float
    """Evaluation included."""
    given: Given = Given()
    """What it had beside the results of its own searches."""
    oracle: bool = False
    """It asks the very judge of the sweep."""


def table(tasks: Sequence[Job]) -> "pd.DataFrame":
    """Return one row for each recorded trial.

    Columns: scenario, objective, arm, optimizer, screen, seed, step, design (wire format, JSON),
    reward (none where infeasible), infeasible (its kind), failure (its kind), accuracy, energy_pj,
    latency_ns, area_um2, duplicate_of, screened, seconds.
    """
    import pandas as pd

    return pd.DataFrame([row for task in tasks for row in _rows(read_run(task.out), task.arm)])


def summarise(trials: "pd.DataFrame", scales: Mapping[str, RegretEnds]) -> list[ArmSummary]:
    """Sum up each arm; `scales` has the two ends of regret by scenario, as far as there are any."""
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    arms = [group for _, group in trials.groupby(["arm", "screen"], sort=False)]
    firsts = [_first_feasible(group) for group in arms]
    return [
        ArmSummary(
            arm=str(group["arm"].iloc[0]),
            screen=int(group["screen"].iloc[0]),
            runs=group.groupby(["scenario", "seed"]).ngroups,
            regret=_regret(group, scales, generator),
            infeasible=float(group["infeasible"].notna().mean()),
            duplicates=float(group["duplicate_of"].notna().mean()),
            first_feasible=median if np.isfinite(median := float(np.median(first))) else None,
            never_feasible=float(1 - np.isfinite(first).mean()),
            ms_per_episode=float(group["seconds"].mean() * 1e3),
        )
        for group, first in zip(arms, firsts, strict=True)
    ]


def with_givens(arms: Sequence[ArmSummary], tasks: Sequence[Job]) -> list[ArmSummary]:
    """Say of each arm what it was given, as its first run recorded it."""
    first = {task.arm: task for task in reversed(tasks)}
    changes = [
        {
            "given": load(first[arm.arm].out / "manifest.json", Manifest).given,
            "oracle": is_oracle(first[arm.arm].config),
        }
        for arm in arms
    ]
    return [arm.model_copy(update=change) for arm, change in zip(arms, changes, strict=True)]


def scales_of(config: SweepConfig, trials: "pd.DataFrame") -> dict[str, RegretEnds]:
    """Return the two ends of regret for each scenario, where there are two.

    Under the surrogate they are searched for; a sweep that found better moves the upper end.
    """
    if config.evaluator == "trained":
        return scales_of_trials(trials)
    best = trials.groupby("scenario")["reward"].max()
    scales = {}
    for task in config.tasks:
        top = known(task.scenario, task.space)
        if top.reward is None or top.median_feasible is None:
            continue
        reward = max(top.reward, float(best.fillna(top.reward)[task.name]))
        if reward > top.median_feasible + TOLERANCE:
            source = "best known (`search optimum`)"
            scales[task.name] = RegretEnds(reward, top.median_feasible, source)
    return scales


def scales_of_trials(trials: "pd.DataFrame") -> dict[str, RegretEnds]:
    """Take the ends of regret from the sweep itself: its best, and its random arm's median."""
    scales = {}
    for scenario, group in trials.groupby("scenario", sort=False):
        random = group[(group["optimizer"] == "random") & (group["screen"] == 0)]
        best, median = group["reward"].max(), random["reward"].median()
        if best > median + TOLERANCE:
            scales[str(scenario)] = RegretEnds(float(best), float(median), "the best of this sweep")
    return scales


def _rows(run: RunRecord, arm: str) -> Iterator[dict[str, Any]]:
    config = run.config
    for trial in run.trials:
        yield {
            "scenario": config.scenario.name,
            "objective": config.scenario.objective.metric,
            "arm": arm,
            "optimizer": config.optimizer,
            "screen": config.screen,
            "seed": config.seed,
            **_columns(trial),
        }


def _columns(trial: Trial) -> dict[str, Any]:
    evaluation = trial.evaluation
    accuracy = evaluation.accuracy if evaluation else None
    infeasible = evaluation.infeasible if evaluation else None
    return {
        "step": trial.step,
        "design": json.dumps(trial.design.wire()) if trial.design else None,
        "reward": trial.score if trial.feasible else np.nan,
        "infeasible": infeasible.kind if infeasible else None,
        "failure": trial.failure.kind if trial.failure else None,
        "accuracy": accuracy.mean if accuracy else np.nan,
        **dict.fromkeys(AMOUNTS, np.nan),
        **(evaluation.amounts if evaluation else {}),
        "duplicate_of": np.nan if trial.duplicate_of is None else trial.duplicate_of,
        "screened": trial.screened,
        "seconds": trial.seconds,
    }


def _regret(
    group: "pd.DataFrame", scales: Mapping[str, RegretEnds], generator: np.random.Generator
) -> dict[int, Interval]:
    """Regret at each checkpoint that all runs reached, over scenarios with a scale."""
    curves = {
        str(name): [
            best_so_far(run.sort_values("step")["reward"]) for _, run in of_scenario.groupby("seed")
        ]
        for name, of_scenario in group.groupby("scenario", sort=False)
        if str(name) in scales
    }
    lengths = [len(curve) for of_scenario in curves.values() for curve in of_scenario]
    regrets = {}
    for episode in CHECKPOINTS:
        if lengths and episode <= min(lengths):
            values = [
                normalised_regret([curve[episode - 1] for curve in of_scenario], scales[name])
                for name, of_scenario in curves.items()
            ]
            regrets[episode] = bootstrap(values, generator)
    return regrets


def _first_feasible(group: "pd.DataFrame") -> Floats:
    """Episodes to the first feasible design of each run, that one included; infinite: none."""
    steps = group["step"].where(group["reward"].notna())
    firsts = steps.groupby([group["scenario"], group["seed"]]).min()
    return (firsts + 1).fillna(np.inf).to_numpy(float)
