"""The probe's table: the model beside a lookup and the best rule, with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cim_sim.config import Config
from cim_sim.types import Bools, Floats
from finetune.probe.habit import Habit
from finetune.probe.questions import Clear, Dropped, Question
from finetune.probe.truth import KINDS, Kind
from search.stats import Interval, bootstrap_groups

RESAMPLES = 2000
ANSWERERS = ("likelier", "written", "judged", "cost", "larger", "lookup", "rule")
"""The model by likelihood, as free text, and by the accuracies that it expects, with exact costs;
then those that know no language: exact costs alone, exact costs where a larger kernel is always
more accurate by what is just clear, a lookup, a rule."""


class Belief(Config):
    """What came of the questions of one kind."""

    questions: int
    scenarios: int
    right: dict[str, Interval]
    """Of each answerer the share of right answers, and its interval over scenarios."""
    larger: float
    """Share of questions to which the model finds the larger kernel the likelier answer."""
    first: float
    """Likewise the kernel that is named first."""
    answered: float
    """Share of free answers that name one of the two; the others count as half right."""
    larger_is_right: float
    """Share of all clear pairs, before any balance."""


class Probe(Config):
    """The whole result."""

    model: dict[str, Any]
    split: str
    scenarios: int
    seed: int
    surrogate: str
    """Digest of the table of trained networks behind all labels."""
    beliefs: dict[Kind, Belief]
    dropped: dict[Kind, Dropped]
    habits: dict[str, Habit]


def beliefs(
    questions: Sequence[Question], answers: Mapping[str, Floats], clear: Mapping[Kind, list[Clear]]
) -> dict[Kind, Belief]:
    """Score the answers kind by kind; kinds without a question are left out.

    Args:
        questions: of all kinds.
        answers: of each of `ANSWERERS` to all of them, [questions].
        clear: all clear pairs of each kind.
    """
    found: dict[Kind, Belief] = {}
    for kind in KINDS:
        rows = [row for row, one in enumerate(questions) if one.kind == kind]
        if rows:
            own = {name: values[rows] for name, values in answers.items()}
            wins = float(np.mean([one.larger_wins for one in clear[kind]]))
            found[kind] = belief([questions[row] for row in rows], own, wins)
    return found


def belief(
    questions: Sequence[Question], answers: Mapping[str, Floats], larger_is_right: float
) -> Belief:
    """Score the answers to the questions of one kind."""
    first = np.array([one.larger_first for one in questions])
    likelier, written = answers["likelier"], answers["written"]
    return Belief(
        questions=len(questions),
        scenarios=len({one.scenario for one in questions}),
        right={name: score(questions, answers[name]) for name in ANSWERERS},
        larger=round(float(likelier.mean()), 3),
        first=round(float((likelier == first).mean()), 3),
        answered=round(float((written != 0.5).mean()), 3),
        larger_is_right=round(larger_is_right, 3),
    )


def score(questions: Sequence[Question], answers: Floats) -> Interval:
    """Return the share of right answers: 1 says the larger kernel, 0 the smaller, .5 neither.

    It is the mean of two shares, where the larger kernel is right and where it is wrong, so that
    drawing scenarios anew does not undo the balance.
    """
    wins = np.array([one.larger_wins for one in questions])
    interval = bootstrap_groups(
        lambda rows: _balanced(answers[rows], wins[rows]),
        [one.scenario for one in questions],
        np.random.default_rng(0),
        RESAMPLES,
    )
    return interval.rounded(3)


def page(probe: Probe) -> str:
    """Return the tables as Markdown."""
    heads = ["question", "n", "scenarios", *ANSWERERS, "says larger", "says first", "answered",
             "larger is right", "lost to balance"]  # fmt: skip
    rows = [_row(kind, probe.beliefs.get(kind), probe.dropped[kind]) for kind in KINDS]
    moves = ["search", "steps", "enlarges", "shrinks", "first kernel", "last kernel"]
    steps = [
        [name, str(one.steps), f"{one.enlarges:.2f}", f"{one.shrinks:.2f}", f"{one.first:.1f}",
         f"{one.last:.1f}"]
        for name, one in probe.habits.items()
    ]  # fmt: skip
    return f"{_table(heads, rows)}\n\n{_table(moves, steps)}"


def _row(kind: Kind, one: Belief | None, dropped: Dropped) -> list[str]:
    lost = f"{dropped.pairs} pairs, {dropped.strata} strata"
    if one is None:
        return [kind, "0", *[""] * (len(ANSWERERS) + 5), lost]
    scores = [f"{one.right[name]:.2f}" for name in ANSWERERS]
    shares = [one.larger, one.first, one.answered, one.larger_is_right]
    told = [f"{share:.2f}" for share in shares]
    return [kind, str(one.questions), str(one.scenarios), *scores, *told, lost]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _balanced(answers: Floats, wins: Bools) -> float:
    """Mean of both shares; NaN where one of the two kinds of question is absent."""
    if wins.all() or not wins.any():
        return float("nan")
    return float((answers[wins].mean() + 1 - answers[~wins].mean()) / 2)
