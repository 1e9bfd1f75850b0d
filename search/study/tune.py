"""Tunes the classic rivals on training scenarios, so that no comparison is won by their defaults.

Every rival gets the same effort (ArchGym's hyperparameter lottery: whoever is tuned wins):
random candidates and the defaults on a few scenarios, then the best of them on more. Each round is
an ordinary sweep, resumable like any other.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cim_sim.config import Config, UsageError
from cim_sim.files import write_whole
from cim_sim.progress import counted
from cim_sim.space import Space
from search.optimizers import settings_of
from search.record.runs import RunRecord, read_run
from search.stats import RegretEnds
from search.study.scales import CHECKPOINTS, regret_curve, scales_of
from search.study.sweep import ArmSpec, FamilyPart, SweepConfig, Tuned, begin, jobs, run_all

CANDIDATES = 16
"""Settings that run in the first round, the defaults included."""
FINALISTS = 4
"""Settings that run in the second round: the best of the first."""
FIRST_ROUND = FamilyPart(split="train", count=4)
SECOND_ROUND = FamilyPart(split="train", first=4, count=12)
EARLIEST = 20
"""Regret counts from this checkpoint on."""

EPISODES = {"reinforce": 500, "marl": 500, "genetic": 500, "tpe": 200}
"""Of each search; a sampler that computes long has fewer."""

CONTROLLER: Mapping[str, Sequence[Any]] = {
    "hidden": (20, 35, 64),
    "layers": (1, 2),
    "rollouts": (1, 2, 5, 10),
    "learning_rate": (2e-3, 5e-3, 1e-2, 2e-2, 4e-2),
    "baseline_period": (5, 10, 20, 50),
    "entropy": (0.0, 1e-3, 1e-2, 3e-2),
}
"""Values for one controller, or for each of several agents."""
CHOICES: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "reinforce": CONTROLLER,
    "marl": CONTROLLER,
    "genetic": {
        "population_size": (10, 20, 30, 50, 80),
        "mutation_prob": (None, 0.05, 0.15, 0.25),
        "crossover_prob": (0.5, 0.7, 0.9, 1.0),
        "swapping_prob": (0.2, 0.35, 0.5),
    },
    "tpe": {
        "n_startup_trials": (5, 10, 20, 40),
        "n_ei_candidates": (12, 24, 64, 200),
        "multivariate": (True, False),
    },
}
"""Values from which the settings of each rival are drawn."""


class Result(Config):
    """What tuning a rival came to."""

    tuned: Tuned
    regret: float
    """Mean over the checkpoints of the second round."""
    default_regret: float | None
    """Of the defaults there; None when they did not reach it."""


class Placed(NamedTuple):
    """A candidate and its mean regret."""

    settings: dict[str, Any]
    regret: float


def tune(
    optimizer: str, out: Path, workers: int, cache: Path, space: Space | None = None
) -> Result:
    """Find the settings of one rival; what `out` already holds is not run again.

    Raises:
        UsageError: the optimiser is not one that is tuned.
    """
    if optimizer not in CHOICES:
        raise UsageError(f"{optimizer} is not tuned; choose from {', '.join(CHOICES)}")
    first = _sweep(optimizer, candidates(optimizer), FIRST_ROUND, space)
    finalists = [placed.settings for placed in _round(first, out / "first", workers, cache)]
    second = _sweep(optimizer, finalists[:FINALISTS], SECOND_ROUND, space)
    last = _round(second, out / "second", workers, cache)
    defaults = [placed.regret for placed in last if placed.settings == {}]
    whole = settings_of(optimizer, last[0].settings).model_dump(mode="json")
    return Result(
        tuned=Tuned(optimizer=optimizer, settings=whole),
        regret=last[0].regret,
        default_regret=defaults[0] if defaults else None,
    )


def effort() -> dict[str, str]:
    """Return in words what tuning each rival takes."""
    searches = CANDIDATES * FIRST_ROUND.count + FINALISTS * SECOND_ROUND.count
    return {name: f"{searches} searches of {EPISODES[name]} episodes" for name in CHOICES}


def candidates(optimizer: str) -> list[dict[str, Any]]:
    """Return the defaults (nothing set) and different random settings, always the same."""
    rng = np.random.default_rng([0, *optimizer.encode()])
    different: list[dict[str, Any]] = [{}]
    while len(different) < CANDIDATES:
        values = CHOICES[optimizer].items()
        drawn = {name: choices[int(rng.integers(len(choices)))] for name, choices in values}
        if drawn not in different:
            different.append(drawn)
    return different


def _sweep(
    optimizer: str, settings: Sequence[dict[str, Any]], part: FamilyPart, space: Space | None
) -> SweepConfig:
    episodes = EPISODES[optimizer]
    arms = {
        f"candidate{number}": ArmSpec(optimizer=optimizer, episodes=episodes, settings=candidate)
        for number, candidate in enumerate(settings)
    }
    return SweepConfig(space=space, scenarios=part, arms=arms, seeds=1)


def _round(config: SweepConfig, out: Path, workers: int, cache: Path) -> list[Placed]:
    """Run the candidates of a sweep; the best first."""
    begin(config, out, resume=True)
    tasks = jobs(config, out)
    with counted("runs", len(tasks)) as step:
        for task, failure in run_all(tasks, workers, cache):
            if failure:
                raise UsageError(f"{failure.out}: {failure.reason}")
            step(str(task.out))
    runs = [read_run(task.out) for task in tasks]
    scales = scales_of(runs)
    placed = []
    for name, arm in config.arms.items():
        own = [run for task, run in zip(tasks, runs, strict=True) if task.arm == name]
        placed.append(Placed(arm.settings, _mean_regret(own, scales)))
    lines = [json.dumps(candidate._asdict()) + "\n" for candidate in placed]
    write_whole(out / "candidates.jsonl", "".join(lines))
    return sorted(placed, key=lambda candidate: candidate.regret)


def _mean_regret(runs: Sequence[RunRecord], scales: Mapping[str, RegretEnds]) -> float:
    """Mean over the scenarios with a scale, at the checkpoints that count."""
    late = [at - 1 for at in CHECKPOINTS if EARLIEST <= at <= runs[0].config.episodes]
    digests = [run.manifest.digests.scenario for run in runs]
    pairs = [(run, scales[name]) for run, name in zip(runs, digests, strict=True) if name in scales]
    return float(np.mean([regret_curve(run, ends)[late] for run, ends in pairs]))
