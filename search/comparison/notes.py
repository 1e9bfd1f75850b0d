"""What a reader must keep in mind, and what is known of where a model comes from."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from search.comparison.equality import Arm
from search.comparison.result import ArmResult, Nearest, Origin, ScenarioFacts
from search.optimizers import model_of

ALIKE = 1.0
"""Distance below which a scenario is all but one that was trained on: a quarter of a device."""


class Uncounted(NamedTuple):
    """What counts in no mean."""

    runs: int
    """That are not finished, or not begun."""
    arms: Sequence[str]
    """That are planned and have no run."""
    cells: int
    """That every arm has finished, beyond the seeds that all scenarios have."""


def origin_of(arm: Arm) -> Origin | None:
    """Return the origin of an arm's language model; None where there is no model."""
    if model_of(arm.first.config) is None:
        return None
    lineage = arm.first.manifest.lineage
    if lineage is None or lineage.unknown:
        reason = lineage.unknown if lineage else "not recorded"
        return Origin(words=f"unknown: {reason}")
    if lineage.adapter is None:
        return Origin(words="not tuned here")
    lineages = [run.manifest.lineage for run in arm.runs]
    paths = dict.fromkeys(one.adapter.path for one in lineages if one and one.adapter)
    return Origin(words=f"tuned with {', '.join(paths)}", nearest=_nearest(arm))


def _nearest(arm: Arm) -> Nearest | None:
    """Return the training task nearest to any scenario of the comparison."""
    found = []
    for run in arm.runs:
        lineage, digest = run.manifest.lineage, run.manifest.digests.scenario
        adapter = lineage.adapter if lineage else None
        if adapter and digest in adapter.manifest.trained_on:
            found.append(Nearest(scenario=run.config.scenario.name, task="itself", distance=0.0))
        elif lineage and lineage.nearest:
            task, distance = lineage.nearest
            name = run.config.scenario.name
            found.append(Nearest(scenario=name, task=task, distance=distance))
    return min(found, key=lambda one: one.distance, default=None)


def notes_of(
    arms: Sequence[ArmResult],
    scenarios: Sequence[ScenarioFacts],
    cells: Sequence[tuple[str, int]],
    left: Uncounted,
) -> Iterator[str]:
    """Yield one sentence for each thing that the figures do not show.

    Args:
        arms: all that are compared.
        scenarios: all of any run.
        cells: scenario and seed of those that count.
        left: what does not count.
    """
    if left.runs:
        yield (
            f"{left.runs} runs are not finished: figures are over the {len(cells)} cells "
            "(scenario and seed) that all arms have."
        )
    if left.arms:
        yield f"Planned, and without any run: {', '.join(left.arms)}."
    counted = {scenario for scenario, _ in cells}
    without = [facts.name for facts in scenarios if facts.optimum is None]
    if without:
        yield f"No scale of regret in {', '.join(without)}: they count in no regret."
    few = [one.name for one in scenarios if one.digest not in counted and one.optimum is not None]
    if few:
        yield f"Left out, because not every arm has as many seeds there: {', '.join(few)}."
    if left.cells:
        yield (
            f"{left.cells} cells that all arms have finished count nowhere: each scenario counts "
            "with equally many seeds."
        )
    own = [one for one in scenarios if one.source and "these runs" in one.source]
    if own:
        where = f" in {', '.join(one.name for one in own)}" if len(own) < len(scenarios) else ""
        yield (
            f"Regret 0{where} is the best of these runs, so that the winner's is 0 by construction."
        )
    if not any(arm.optimizer == "random" for arm in arms):
        yield "There is no random arm, so nothing shows that any search is needed at all."
    for arm in arms:
        yield from _notes_on(arm)


def _notes_on(arm: ArmResult) -> Iterator[str]:
    if arm.oracle:
        yield f"{arm.name} asks the very judge of the runs: a bound, not a rival."
    if arm.never_feasible:
        yield (
            f"{arm.name} found nothing feasible in {arm.never_feasible:.0%} of its runs; "
            "that counts as regret 1."
        )
    if arm.shares.failed:
        yield (
            f"{arm.shares.failed:.0%} of the episodes of {arm.name} failed (a crash, a timeout, or "
            "no answer): they count as spent, and found nothing."
        )
    if arm.origin is None:
        return
    if arm.origin.words.startswith("unknown"):
        yield f"Of {arm.name} nobody knows what it was trained on ({arm.origin.words})."
    if arm.trainings:
        seeds = ", ".join(map(str, arm.trainings))
        ends = ", ".join(f"{regret:.3f}" for regret in arm.trainings.values())
        yield (
            f"{arm.name} stands for {len(arm.trainings)} trainings of one recipe, with seeds "
            f"{seeds}, which end at {ends}: figures are means over them, and intervals are over "
            "scenarios and the seeds of the searches, for these trainings."
        )
    near = arm.origin.nearest
    if near and near.task == "itself":
        yield f"{arm.name} was trained on {near.scenario}: its result there shows memory."
    elif near:
        alike = "; all but trained on" if near.distance < ALIKE else ""
        yield (
            f"{arm.name}: {near.scenario} lies nearest to what it was trained on, {near.task} at "
            f"distance {near.distance:.2f}{alike}."
        )
    elif arm.origin.words.startswith("tuned"):
        yield f"{arm.name}: its training tasks are not recorded, so their distance is unknown."
