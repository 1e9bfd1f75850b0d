"""Measures arms over the scenarios and seeds that all of them have."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cim_sim.types import Floats
from search.comparison.claims import claims_of
from search.comparison.contrasts import contrasts_of
from search.comparison.equality import Arm, NotComparable
from search.comparison.foresight import foresight
from search.comparison.fronts import fronts_of
from search.comparison.isaac import references_of
from search.comparison.kernels import kernels_of
from search.comparison.notes import Uncounted, notes_of, origin_of
from search.comparison.result import (
    ArmResult,
    BeliefRow,
    Best,
    Comparison,
    Effort,
    Estimate,
    ScenarioFacts,
    Shares,
)
from search.comparison.rewards import rewards_by_episode
from search.comparison.sources import Gathered
from search.optimizers import is_oracle, model_of
from search.record.runs import RunRecord
from search.record.summary import summarise
from search.record.trace import Trial
from search.stats import Interval, RegretEnds, Resampling, iqm
from search.study.scales import CHECKPOINTS, by_scenario, is_finished, regret_curve, scales_of

DECIMALS = 4
"""Of curves, whose many points are for the eye."""


def compare(
    found: Gathered,
    arms: Sequence[Arm],
    command: str,
    factors: Sequence[str] = (),
    beliefs: Iterable[BeliefRow] = (),
) -> Comparison:
    """Return what the runs come to.

    Args:
        found: all runs.
        arms: the same, as `require_comparable` returns them.
        command: what makes it again.
        factors: what arms differ in because it is what is compared.
        beliefs: what models were found to believe.

    Raises:
        NotComparable: no scenario and seed is done by all arms, or none has a scale of regret.
    """
    runs = [run for arm in arms for run in arm.runs]
    scales = scales_of(runs)
    cells = cells_of(arms, scales, found)
    dropped = sum(scenario in scales for scenario, _ in _done(arms)) - len(cells)
    seeds = len(cells) // len({scenario for scenario, _ in cells})
    resampling = Resampling(len(cells) // seeds, seeds)
    curves = {arm.name: _curves(arm, cells, scales) for arm in arms}
    arms = [_inside_of(cells, arm) for arm in arms]
    results = [
        _result(arm, curves[arm.name], resampling, _by_training(arm, cells, scales)) for arm in arms
    ]
    scenarios = [_facts(group, arms, scales) for group in by_scenario(runs).values()]
    first = runs[0]
    session = first.manifest.sessions[0]
    commits = {session.git_commit or "" for run in runs for session in run.manifest.sessions}
    claims = claims_of(results, curves, resampling)
    metric = {one.digest: one.metric for one in scenarios}
    metrics = [metric[scenario] for scenario, _ in cells]
    left = Uncounted(len(found.unfinished) + found.missing, found.absent, dropped)
    return Comparison(
        command=command,
        evaluator=first.config.judged_by,
        simulator=first.manifest.digests.simulator,
        factors=tuple(factors),
        batch=first.config.batch,
        seeds=seeds,
        scenarios=tuple(scenarios),
        unfinished=left.runs,
        arms=tuple(results),
        claims=tuple(claims),
        contrasts=tuple(contrasts_of(results, curves, metrics, seeds)),
        fronts=tuple(fronts_of(arms)),
        references=tuple(references_of(arms)),
        rewards=tuple(rewards_by_episode(arms)),
        kernels=tuple(kernels_of(arms)),
        beliefs=tuple(beliefs),
        notes=tuple(notes_of(results, scenarios, cells, left)),
        versions=session.packages,
        code=tuple(sorted(commits - {""})),
    )


Cell = tuple[str, int]
"""Digest of the scenario, and seed."""


def cells_of(arms: Sequence[Arm], scales: Mapping[str, RegretEnds], found: Gathered) -> list[Cell]:
    """Return the largest rectangle of scenarios x seeds that every arm has finished.

    Raises:
        NotComparable: there is none.
    """
    done = _done(arms)
    if not done:
        waiting = [str(run.path) for run in found.unfinished]
        raise NotComparable(
            [f"no scenario and seed is finished by every arm; still open: {', '.join(waiting[:4])}"
             " ...; go on: python -m search run --resume --out RUN, or the sweep with --resume"]
        )  # fmt: skip
    seeds: dict[str, list[int]] = {}
    for scenario, seed in sorted(done):
        if scenario in scales:
            seeds.setdefault(scenario, []).append(seed)
    if not seeds:
        raise NotComparable(
            ["no scenario has a scale of regret: where no optimum is known it takes a random arm "
             "that found something feasible, and an arm that found better than its median: "
             "python -m search run --optimizer random ..., with more episodes"]
        )  # fmt: skip
    counts = [len(own) for own in seeds.values()]
    most = max(counts, key=lambda count: (count * sum(own >= count for own in counts), count))
    return [(name, seed) for name, own in seeds.items() if len(own) >= most for seed in own[:most]]


def _done(arms: Sequence[Arm]) -> set[Cell]:
    """Return the cells that every arm has finished."""
    return set.intersection(*(set(_finished(arm)) for arm in arms))


def _finished(arm: Arm) -> dict[Cell, list[RunRecord]]:
    """Return the runs of each cell that all trainings of the arm's model have finished."""
    found: dict[Cell, list[RunRecord]] = {}
    for run in filter(is_finished, arm.runs):
        found.setdefault((run.manifest.digests.scenario, run.config.seed), []).append(run)
    return {cell: runs for cell, runs in found.items() if len(runs) == len(arm.trainings)}


def _inside_of(cells: Sequence[Cell], arm: Arm) -> Arm:
    """Return the arm with the runs of which its regret is told."""
    wanted = set(cells)
    every = ((run, (run.manifest.digests.scenario, run.config.seed)) for run in arm.runs)
    return Arm(arm.name, [run for run, cell in every if cell in wanted])


def _curves(arm: Arm, cells: Sequence[Cell], scales: Mapping[str, RegretEnds]) -> Floats:
    """Regret after each episode in each cell, [cells, episodes], mean over trainings."""
    runs = _finished(arm)
    return np.array(
        [
            np.mean([regret_curve(run, scales[cell[0]]) for run in runs[cell]], axis=0)
            for cell in cells
        ]
    )


def _by_training(
    arm: Arm, cells: Sequence[Cell], scales: Mapping[str, RegretEnds]
) -> dict[int, float]:
    """Regret at the end by the seed of the training; empty where there is one or none."""
    trainings = {seed: runs for seed, runs in arm.trainings.items() if seed is not None}
    if len(trainings) < 2:
        return {}
    return {
        seed: float(_curves(Arm(arm.name, runs), cells, scales)[:, -1].mean())
        for seed, runs in sorted(trainings.items())
    }


def _result(
    arm: Arm, curves: Floats, resampling: Resampling, trainings: dict[int, float]
) -> ArmResult:
    first, budget = arm.first, curves.shape[1]
    trials = [trial for run in arm.runs for trial in run.trials]
    shown = sorted({*(at for at in CHECKPOINTS if at <= budget), budget})
    firsts = [summarise(run.trials).first_feasible for run in arm.runs]
    median = float(np.median([math.inf if one is None else one for one in firsts]))
    band = resampling.band(curves)
    return ArmResult(
        name=arm.name,
        optimizer=first.config.optimizer,
        settings=first.config.settings,
        episodes=budget,
        screen=first.config.screen,
        runs=len(arm.runs),
        origin=origin_of(arm),
        trainings=trainings,
        given=first.manifest.given,
        oracle=is_oracle(first.config),
        regret={at: _estimate(curves[:, at - 1], resampling) for at in shown},
        curve=_rounded(curves.mean(axis=0)),
        low=None if band is None else _rounded(np.maximum(band[0], 0.0)),
        high=None if band is None else _rounded(np.minimum(band[1], 1.0)),
        area=_inside(resampling.interval(curves.mean(axis=1))),
        first_feasible=median if math.isfinite(median) else None,
        never_feasible=sum(one is None for one in firsts) / len(firsts),
        shares=_shares(arm, trials),
        effort=_effort(arm, trials),
        foresight=foresight(arm.runs),
    )


def _estimate(values: Floats, resampling: Resampling) -> Estimate:
    return Estimate(
        mean=_inside(resampling.interval(values)),
        iqm=_inside(resampling.interval(values, iqm)),
        median=float(np.median(values)),
    )


def _inside(interval: Interval) -> Interval:
    """Cut an interval of a regret off at 0 and 1, beyond which there is none."""
    if interval.low is None or interval.high is None:
        return interval
    return interval.model_copy(
        update={"low": max(interval.low, 0.0), "high": min(interval.high, 1.0)}
    )


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(np.round(values, DECIMALS).tolist())


def _shares(arm: Arm, trials: Sequence[Trial]) -> Shares:
    count, kinds = len(trials), [trial.failure.kind for trial in trials if trial.failure]
    counts = [summarise(run.trials) for run in arm.runs]
    firsts = [one for run in arm.runs for one in run.exchanges if not (one.attempt or one.weighed)]
    return Shares(
        invalid=kinds.count("reply") / count,
        infeasible=sum(one.infeasible for one in counts) / count,
        duplicate=sum(one.duplicates for one in counts) / count,
        failed=(len(kinds) - kinds.count("reply")) / count,
        first_try=sum(one.error is None for one in firsts) / len(firsts)
        if firsts and model_of(arm.first.config)
        else None,
    )


def _effort(arm: Arm, trials: Sequence[Trial]) -> Effort:
    counts = [summarise(run.trials) for run in arm.runs]
    usages = [exchange.usage for run in arm.runs for exchange in run.exchanges]
    sums = {
        "seconds": sum(one.seconds for one in counts),
        "prompt_tokens": sum(usage.get("prompt_tokens", 0) for usage in usages),
        "completion_tokens": sum(usage.get("completion_tokens", 0) for usage in usages),
        "evaluated": sum(one.evaluated for one in counts),
        "trained": sum(one.trained for one in counts),
        "screened": sum(one.screened for one in counts),
    }
    return Effort(**{name: value / len(trials) for name, value in sums.items()})


def _facts(
    group: Sequence[RunRecord], arms: Sequence[Arm], scales: Mapping[str, RegretEnds]
) -> ScenarioFacts:
    config, digest = group[0].config, group[0].manifest.digests.scenario
    ends = scales.get(digest)
    best = {
        arm.name: found for arm in arms if (found := _best(by_scenario(arm.runs).get(digest, [])))
    }
    return ScenarioFacts(
        name=config.scenario.name,
        digest=digest,
        space=config.space.name,
        metric=config.scenario.metric,
        told=config.told,
        optimum=ends.optimum if ends else None,
        median_random=ends.median_random if ends else None,
        source=ends.source if ends else None,
        best_in=best,
    )


def _best(runs: Sequence[RunRecord]) -> Best | None:
    found = [(trial, run) for run in runs for trial in run.trials if trial.feasible]
    if not found:
        return None
    trial, run = max(found, key=lambda pair: pair[0].score)
    assert trial.design is not None
    return Best(
        reward=trial.score,
        design=trial.design.wire(),
        seed=run.config.seed,
        episode=trial.step + 1,
    )
