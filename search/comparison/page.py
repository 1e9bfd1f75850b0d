"""A comparison as Markdown: the table of arms, the claims, and what must be kept in mind."""

from collections.abc import Iterator
from pathlib import Path

from cim_sim.cards import render, table
from cim_sim.config import UsageError, load
from cim_sim.evaluate import AMOUNTS
from search.comparison.contrasts import rows_of
from search.comparison.result import ArmResult, Comparison
from search.comparison.rewards import EARLY
from search.study.verify import Verification
from search.study.verify_page import verified_page

RESULT, VERIFIED = "comparison.json", "verified.json"
LEGEND = (
    "@N: mean normalised regret after N episodes, (optimum - best so far) / (optimum - median "
    "feasible random), 1 until something is feasible; lower is better. IQM: interquartile mean. "
    "Intervals: 95 %, scenarios resampled, then seeds; none below 8 scenarios x 3 seeds. Area: "
    "mean regret over all episodes of the budget. Invalid, infeasible, duplicate: shares of the "
    "episodes; first try: of the replies. First feasible: median episode. Given: what an arm had "
    "beside the results of its own search; an oracle asks the judge itself."
)


def page(comparison: Comparison) -> str:
    """Return the Markdown text."""
    template = Path(__file__).with_name("comparison.md.jinja")
    tables = {
        "table": arms_table(comparison),
        "volumes": volumes_table(comparison),
        "contrasts": "\n".join(table(*rows_of(comparison.contrasts))),
    }
    longest = max(arm.episodes for arm in comparison.arms)
    return render(template, c=comparison, legend=LEGEND, longest=longest, early=EARLY, **tables)


def arms_table(comparison: Comparison) -> str:
    """Return the table of arms, a line for each."""
    return "\n".join(table(heads(comparison), [cells(arm, comparison) for arm in comparison.arms]))


def volumes_table(comparison: Comparison) -> str:
    """Return the mean hypervolume of each arm over the scenarios; 0 where it found nothing."""
    count = max(len({front.scenario for front in comparison.fronts}), 1)
    rows = []
    for arm in comparison.arms:
        own = [front for front in comparison.fronts if front.arm == arm.name]
        sums = [sum(one.hypervolume for one in own if one.cost == cost) for cost in AMOUNTS]
        rows.append([arm.name, *(f"{total / count:.3f}" for total in sums)])
    head = ["arm", *(f"accuracy against {cost.split('_')[0]}" for cost in AMOUNTS)]
    return "\n".join(table(head, rows))


def heads(comparison: Comparison) -> list[str]:
    """Return the heads of that table."""
    columns = ["arm", *(f"@{at}" for at in _shown(comparison)), "interval", "IQM", "median"]
    columns += ["area", "invalid", "infeasible", "duplicate", "first try", "first feasible"]
    return [*columns, "never", "s/episode", "tokens/episode", "given"]


def _shown(comparison: Comparison) -> list[int]:
    return sorted({at for arm in comparison.arms for at in arm.regret})


def results_page(folder: Path) -> str:
    """Return one page of all comparisons that lie in the folders of `folder`.

    Raises:
        UsageError: there is none, or a file is damaged.
    """
    found = sorted(folder.glob(f"*/{RESULT}"))
    if not found:
        raise UsageError(
            f"{folder}: no */{RESULT} in it; make one: python -m search compare SWEEP --out "
            f"{folder}/NAME"
        )
    return "\n".join([LEGEND, "", *(line for file in found for line in _section(file))])


def _section(file: Path) -> Iterator[str]:
    comparison = load(file, Comparison)
    yield from (f"### {file.parent.name}", "")
    size = f"{comparison.counted} scenarios x {comparison.seeds} seeds"
    yield f"{size}; {comparison.evaluator}. `{comparison.command}`"
    yield from ("", arms_table(comparison), "")
    yield from (f"- {claim.sentence}" for claim in comparison.claims)
    yield ""
    yield from (f"- {note}" for note in comparison.notes)
    yield ""
    if (verified := file.with_name(VERIFIED)).is_file():
        yield "Re-trained winners:"
        yield from ("", verified_page(load(verified, Verification)))


def cells(arm: ArmResult, comparison: Comparison) -> list[str]:
    """Return the line of an arm in that table."""
    last, shares, effort = arm.regret[arm.episodes], arm.shares, arm.effort
    mean = last.mean
    interval = "-" if mean.low is None else f"@{arm.episodes} [{mean.low:.3f}, {mean.high:.3f}]"
    tried = "-" if shares.first_try is None else f"{shares.first_try:.0%}"
    tokens = effort.prompt_tokens + effort.completion_tokens
    return [
        f"{arm.name} (oracle)" if arm.oracle else arm.name,
        *(
            f"{arm.regret[at].mean.mean:.3f}" if at in arm.regret else ""
            for at in _shown(comparison)
        ),
        interval,
        f"{last.iqm.mean:.3f}",
        f"{last.median:.3f}",
        f"{arm.area.mean:.3f}",
        *(f"{share:.0%}" for share in (shares.invalid, shares.infeasible, shares.duplicate)),
        tried,
        "none" if arm.first_feasible is None else f"{arm.first_feasible:g}",
        f"{arm.never_feasible:.0%}",
        f"{effort.seconds:.3f}",
        f"{tokens:,.0f}" if tokens else "-",
        arm.given.words,
    ]
