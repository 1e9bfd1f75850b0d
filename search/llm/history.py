"""What a prompt may say about earlier designs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from cim_sim.space import Design

if TYPE_CHECKING:
    from cim_sim.evaluate import Evaluation
    from search.trace import Trial

BEST, RECENT = 10, 10
"""Lines of a `codesign` history: so many of the best, and so many of the latest."""


class Entry(NamedTuple):
    """One earlier design: its reward, or in a few words why it has none."""

    design: Design
    score: float | None
    fault: str | None = None
    """`infeasible: area 45.1 mm2`, `failed: timeout`; None beside a reward."""


def entries(trials: Sequence["Trial"]) -> list[Entry]:
    """Return what the trials say about designs, in their order; slots without one say nothing."""
    return [_entry(trial) for trial in trials if trial.design is not None]


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


def _entry(trial: "Trial") -> Entry:
    assert trial.design is not None
    evaluation = trial.evaluation
    if evaluation is None:
        kind = trial.failure.kind if trial.failure else "unknown"
        return Entry(trial.design, None, f"failed: {kind}")
    if evaluation.infeasible is not None:
        return Entry(trial.design, None, f"infeasible: {_shortage(evaluation)}")
    return Entry(trial.design, evaluation.reward)


def _shortage(evaluation: "Evaluation") -> str:
    assert evaluation.infeasible is not None
    kind = evaluation.infeasible.kind
    if kind == "area" and evaluation.cost is not None:
        return f"area {evaluation.cost.area_um2 / 1e6:.1f} mm2"
    if kind == "accuracy" and evaluation.accuracy is not None:
        return f"accuracy {evaluation.accuracy.mean:.3f}"
    return f"no {kind}"
