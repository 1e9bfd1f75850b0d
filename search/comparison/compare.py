"""Compares finished runs on equal terms, or says exactly what is unequal."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from cim_sim.config import Config
from cim_sim.evaluate import INFEASIBLE_REWARD
from search.comparison.equality import Arm, NotComparable
from search.optimizers import is_oracle, model_of
from search.record.given import Given
from search.record.runs import RunRecord
from search.record.summary import Summary, summarise
from search.stats import (
    Interval,
    RegretEnds,
    best_so_far,
    bootstrap,
    normalised_regret,
    rewards_of,
)

BOOTSTRAP_SEED = 0


class Difference(Config):
    """Best reward of one arm minus that of another at equal episodes, paired by seed."""

    arm: str
    against: str
    difference: Interval


class RunResult(Config):
    """One run at the common budget, and its best over all its episodes."""

    path: str
    seed: int
    status: str
    episodes: int
    """Of the whole run."""
    best_of_all: float | None
    at_budget: Summary


class ArmResult(Config):
    """One arm."""

    name: str
    optimizer: str
    best_reward: Interval
    """At the common budget; a run that found nothing feasible counts with the paper's -1."""
    regret: Interval | None
    """Normalised, at the common budget."""
    stand_in: bool
    adapter: str | None
    trained_on_this_scenario: bool
    given: Given = Given()
    """What it had beside the results of its own search."""
    oracle: bool = False
    """It asks the very judge of the runs."""
    runs: list[RunResult]


class Comparison(Config):
    """Everything the page says."""

    scenario: str
    scenario_digest: str
    space: str
    evaluator: str
    simulator: str
    screen: int
    budget: int
    """Episodes that every run has."""
    optimum: float | None
    optimum_source: str | None
    median_random: float | None
    arms: list[ArmResult]
    differences: list[Difference]


def compare(arms: Sequence[Arm], ends: RegretEnds | None) -> Comparison:
    """Measure arms at the largest budget that all their runs have."""
    first = arms[0].runs[0]
    budget = min(len(run.trials) for arm in arms for run in arm.runs)
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    config = first.config
    return Comparison(
        scenario=config.scenario.name,
        scenario_digest=first.manifest.digests.scenario,
        space=config.space.name,
        evaluator=config.evaluator,
        simulator=first.manifest.digests.simulator,
        screen=config.screen,
        budget=budget,
        optimum=ends.optimum if ends else None,
        optimum_source=ends.source if ends else None,
        median_random=ends.median_random if ends else None,
        arms=[_result(arm, budget, ends, generator) for arm in arms],
        differences=[_difference(*pair, budget, generator) for pair in _pairs(arms)],
    )


def regret_ends(
    arms: Sequence[Arm], optimum: float | None = None, median_random: float | None = None
) -> RegretEnds | None:
    """Return the two ends of regret; None when one is unknown or they are the same.

    Args:
        arms: the random arm gives the median, if none is known.
        optimum: best known reward; the best of these runs when none is known, or when it is
            better.
        median_random: median reward of feasible random designs.
    """
    runs = [run for arm in arms for run in arm.runs]
    feasible = [(run, trial) for run in runs for trial in run.trials if trial.feasible]
    best = max((trial.score for _, trial in feasible), default=None)
    random = [
        trial.score
        for run, trial in feasible
        if run.config.optimizer == "random" and trial.duplicate_of is None
    ]
    if median_random is None and random:
        median_random = float(np.median(random))
    if optimum is None or (best is not None and best > optimum):
        optimum, source = best, "the best of these runs"
    else:
        source = "given"
    if optimum is None or median_random is None or optimum <= median_random:
        return None
    return RegretEnds(optimum, median_random, source)


def _pairs(arms: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """Each arm against random, and the language models against each other."""
    random = [arm for arm in arms if arm.runs[0].config.optimizer == "random"]
    models = [arm for arm in arms if model_of(arm.runs[0].config)]
    against_random = [(arm, rival) for rival in random for arm in arms if arm is not rival]
    return against_random + [(later, earlier) for earlier, later in combinations(models, 2)]


def _result(
    arm: Arm, budget: int, ends: RegretEnds | None, generator: np.random.Generator
) -> ArmResult:
    first, best = arm.runs[0], [*_best(arm, budget).values()]
    regret = bootstrap(normalised_regret(best, ends), generator) if ends else None
    lineage = first.manifest.lineage
    adapter = lineage.adapter if lineage else None
    return ArmResult(
        name=arm.name,
        optimizer=first.config.optimizer,
        best_reward=bootstrap(best, generator),
        regret=regret,
        stand_in=bool(lineage and lineage.stand_in),
        adapter=adapter.path if adapter else None,
        trained_on_this_scenario=bool(
            adapter and first.manifest.digests.scenario in adapter.manifest.trained_on
        ),
        given=first.manifest.given,
        oracle=is_oracle(first.config),
        runs=[_run_result(run, budget) for run in arm.runs],
    )


def _run_result(run: RunRecord, budget: int) -> RunResult:
    return RunResult(
        path=str(run.path),
        seed=run.config.seed,
        status=run.manifest.status,
        episodes=len(run.trials),
        best_of_all=summarise(run.trials).best_reward,
        at_budget=summarise(run.trials[:budget]),
    )


def _best(arm: Arm, budget: int) -> dict[int, float]:
    """Best reward at the budget, by seed; the paper's -1 where nothing was feasible."""
    ends = {run.config.seed: best_so_far(rewards_of(run.trials[:budget]))[-1] for run in arm.runs}
    return {seed: float(np.nan_to_num(end, nan=INFEASIBLE_REWARD)) for seed, end in ends.items()}


def _difference(arm: Arm, rival: Arm, budget: int, generator: np.random.Generator) -> Difference:
    ours, theirs = _best(arm, budget), _best(rival, budget)
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        raise NotComparable([f"{arm.name} and {rival.name}: no seed in common"])
    difference = bootstrap([ours[seed] - theirs[seed] for seed in seeds], generator)
    return Difference(arm=arm.name, against=rival.name, difference=difference)
