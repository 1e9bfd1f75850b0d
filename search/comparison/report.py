"""A comparison as one HTML file that opens from disk: no network, everything inside.

All text reaches the page escaped, by the template or as `textContent`; the data are JSON in which
no tag can begin or end. The page's policy forbids it to load anything.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cim_sim.cards import render
from cim_sim.evaluate import AMOUNTS
from search.comparison.contrasts import rows_of
from search.comparison.equality import Arm
from search.comparison.figure import style
from search.comparison.page import LEGEND, cells, heads
from search.comparison.result import Comparison
from search.comparison.story import in_short, stories
from search.record.runs import RunRecord
from search.record.trace import Trial

HERE = Path(__file__).parent
DIGITS = 5
"""Significant ones of rewards and costs in the table of episodes."""


def report(comparison: Comparison, arms: Sequence[Arm]) -> str:
    """Return the page."""
    from plotly.offline import get_plotlyjs

    told = stories(arms)
    data = {
        "arms": [_arm(place, one) for place, one in enumerate(comparison.arms)],
        "claims": [claim.model_dump(mode="json") for claim in comparison.claims],
        "fronts": [front.model_dump(mode="json") for front in comparison.fronts],
        "references": [one.model_dump(mode="json") for one in comparison.references],
        "rewards": [row.model_dump(mode="json") for row in comparison.rewards],
        "kernels": [row.model_dump(mode="json") for row in comparison.kernels],
        "beliefs": [row.model_dump(mode="json") for row in comparison.beliefs],
        "stories": [story.model_dump(mode="json") for story in told],
        **_episodes(arms),
    }
    return render(
        HERE / "report.html.jinja",
        c=comparison,
        legend=LEGEND,
        heads=heads(comparison),
        rows=[cells(arm, comparison) for arm in comparison.arms],
        contrasts=rows_of(comparison.contrasts),
        data=_safe(data),
        css=(HERE / "report.css").read_text(encoding="utf-8"),
        js=(HERE / "report.js").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
    )


def _safe(data: dict[str, Any]) -> str:
    """Return JSON in which no `<` is left, so that no tag begins or ends inside a script."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _arm(place: int, arm: Any) -> dict[str, Any]:
    colour, dash = style(place)
    return {
        "name": arm.name,
        "colour": colour,
        "dash": dash,
        "curve": arm.curve,
        "low": arm.low,
        "high": arm.high,
    }


def _episodes(arms: Sequence[Arm]) -> dict[str, Any]:
    """Return all trials by column; designs and outcomes, which repeat, by their place in a list."""
    designs, outcomes = dict[str, int](), dict[str, int]()
    runs, rows = list[dict[str, Any]](), list[tuple[Any, ...]]()
    for place, arm in enumerate(arms):
        for run in arm.runs:
            rows += [(len(runs), *_row(trial, designs, outcomes)) for trial in run.trials]
            runs.append(_run(place, run))
    names = ("run", "episode", "design", "outcome", "reward", "accuracy", "energy", "latency")
    columns = dict(zip((*names, "area"), zip(*rows, strict=True), strict=True))
    return {"runs": runs, "designs": [*designs], "outcomes": [*outcomes], "trials": columns}


def _run(arm: int, run: RunRecord) -> dict[str, Any]:
    scenario, seed = run.config.scenario.name, run.config.seed
    return {"arm": arm, "scenario": scenario, "seed": seed, "path": str(run.path)}


def _row(trial: Trial, designs: dict[str, int], outcomes: dict[str, int]) -> list[Any]:
    design = in_short(trial.design) if trial.design else "no design"
    one = trial.evaluation
    words = f"infeasible: {one.infeasible.kind}" if one and one.infeasible else "feasible"
    words = f"failed: {trial.failure.kind}" if trial.failure else words
    words += ", again" if trial.duplicate_of is not None else ""
    amounts = one.amounts if one else {}
    numbers = [
        trial.score if trial.feasible else None,
        one.accuracy.mean if one and one.accuracy else None,
        *(amounts.get(name) for name in AMOUNTS),
    ]
    places = [designs.setdefault(design, len(designs)), outcomes.setdefault(words, len(outcomes))]
    return [trial.step + 1, *places, *(_short(number) for number in numbers)]


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.{DIGITS}g}")
