"""What a prompt may say about earlier designs."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cim_sim.evaluate import Evaluation
from cim_sim.space import Design
from search.record.trace import Trial

BEST, RECENT = 10, 10
"""Lines of a `codesign` history: so many of the best, and so many of the latest."""

REASON = 100
"""Characters of a reason that an evaluator of the user's own gives: each is paid for every turn."""


class Entry(NamedTuple):
    """One earlier design: its reward, or in a few words why it has none."""

    design: Design
    score: float | None
    fault: str | None = None
    """`infeasible: area 45.1 mm2`, `failed: timeout`; None beside a reward."""
    accuracy: float | None = None
    """Where it was measured."""


def entries(trials: Sequence[Trial]) -> Iterator[Entry]:
    """Yield what the trials say about designs, in their order; slots without one say nothing."""
    for trial in trials:
        if trial.evaluation:
            yield entry(trial.evaluation)
        elif trial.design and trial.failure:
            yield Entry(trial.design, None, f"failed: {trial.failure.kind}")


def entry(evaluation: Evaluation) -> Entry:
    """Return what an evaluation says about its design."""
    accuracy = evaluation.accuracy.mean if evaluation.accuracy else None
    if evaluation.infeasible is None:
        return Entry(evaluation.design, evaluation.reward, None, accuracy)
    if evaluation.infeasible.kind == "own":
        reason = " ".join(evaluation.infeasible.reason.split())[:REASON]
        return Entry(evaluation.design, None, f"infeasible: {reason}", accuracy)
    shortage = _shortage(evaluation, evaluation.infeasible.kind)
    return Entry(evaluation.design, None, f"infeasible: {shortage}", accuracy)


def selection(history: Sequence[Entry]) -> list[Entry]:
    """Choose the lines of a `codesign` prompt: at most `BEST` + `RECENT`, worst first.

    Each design stands once, as last evaluated. What has no reward ranks below all that has one;
    equals keep the order of their episodes.
    """
    places = {entry.design: place for place, entry in enumerate(history)}
    latest = sorted(places.values())
    ranked = sorted(latest, key=lambda place: _rank(history[place]))
    chosen = {*ranked[-BEST:], *latest[-RECENT:]}
    return [history[place] for place in ranked if place in chosen]


def best(history: Sequence[Entry], count: int) -> list[Entry]:
    """Return the `count` best designs, worst first; equals keep the order of their episodes."""
    return sorted(history, key=_rank)[-count:]


def _rank(entry: Entry) -> tuple[bool, float]:
    return (True, entry.score) if entry.score is not None else (False, 0.0)


def _shortage(evaluation: Evaluation, kind: str) -> str:
    if kind == "area" and evaluation.cost is not None:
        return f"area {evaluation.cost.area_um2 / 1e6:.1f} mm2"
    if kind == "accuracy" and evaluation.accuracy is not None:
        return f"accuracy {evaluation.accuracy.mean:.3f}"
    return f"no {kind}"
