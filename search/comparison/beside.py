"""Comparisons side by side: what each arm reaches, and how far one lies below the others."""

from collections.abc import Iterable, Mapping, Sequence

from cim_sim.cards import table
from cim_sim.intervals import Interval
from search.comparison.result import ALL, ArmResult, Claim, Comparison, Contrast
from search.comparison.rewards import EARLY

OPENING = (1, 5)
"""Episodes that are told before the paper's 20."""
LATER = (40, 100, 500)
"""Those that are told after it, where an arm has them."""

Pages = Mapping[str, Comparison]
"""Comparisons by what a column is called."""


def reached(pages: Pages) -> list[str]:
    """Return the lines of a table of arms: mean regret after 1, 5 and 20 episodes, and later.

    That after 20 stands in bold, with its interval.
    """
    heads = [f"`{name}`, {one.counted} tasks" for name, one in pages.items()]
    rows = [
        [arm, *(_regret(_arms(page).get(arm)) for page in pages.values())]
        for arm in _every(_arms(page) for page in pages.values())
    ]
    return table(["arm", *heads], rows)


def below(pages: Pages, arm: str) -> list[str]:
    """Return the lines of a table of rivals: how far `arm` lies below each at equal episodes.

    What is shown stands in bold; p is corrected for the claims of a page.
    """
    cells = {name: _claims(page, arm) for name, page in pages.items()}
    return _rivals(f"{arm} is below", _every(cells.values()), cells)


def apart(pages: Pages, arm: str) -> list[str]:
    """Return the lines of the same table for each objective, and against all episodes of a rival.

    After 20 episodes of `arm`, or as many as a row begins with; these are not corrected.
    """
    cells = {name: _contrasts(page, arm) for name, page in pages.items()}
    rows = sorted(_every(cells.values()), key=lambda row: row.rpartition(", ")[2])
    unless = " or as said" if any(row.startswith("@") for row in rows) else ""
    return _rivals(f"{arm} @{EARLY}{unless} is below", rows, cells)


def _rivals(head: str, rows: Sequence[str], cells: Mapping[str, Mapping[str, str]]) -> list[str]:
    heads = [head, *(f"`{name}`" for name in cells)]
    return table(
        heads, [[row, *(column.get(row, "") for column in cells.values())] for row in rows]
    )


def _every(columns: Iterable[Iterable[str]]) -> list[str]:
    """Return all names in the order in which they first come."""
    return list(dict.fromkeys(name for column in columns for name in column))


def _arms(page: Comparison) -> dict[str, ArmResult]:
    return {arm.name: arm for arm in page.arms}


def _regret(arm: ArmResult | None) -> str:
    if arm is None:
        return ""
    found = {at: estimate.mean for at, estimate in arm.regret.items()}
    first = [short(found[at].mean) for at in OPENING if at in found]
    early = [f"**{short(at.mean)}**{_ends(at)}" for at in [found.get(EARLY)] if at]
    later = [f"; @{at} {short(found[at].mean)}" for at in LATER if at in found]
    return " ".join([*first, *early]) + "".join(later)


def _claims(page: Comparison, arm: str) -> dict[str, str]:
    return {
        rival: _claim(one, difference)
        for one in page.claims
        for rival, difference in _against(one, arm)
    }


def _against(pair: Claim | Contrast, arm: str) -> list[tuple[str, Interval]]:
    """Return the other one of a pair, and how far `arm` lies below it; nothing of other pairs."""
    if pair.arm == arm:
        return [(pair.against, pair.difference)]
    return [(pair.arm, -pair.difference)] if pair.against == arm else []


def _claim(claim: Claim, difference: Interval) -> str:
    mean = short(difference.mean)
    p = "" if claim.p_holm is None else f", p {claim.p_holm:.2g}"
    return f"{f'**{mean}**' if claim.shown else mean}{_ends(difference)}{p}"


def _contrasts(page: Comparison, arm: str) -> dict[str, str]:
    """Return differences after 20 or more of `arm` that have an interval and are in no claim."""
    found = {}
    for one in page.contrasts:
        beyond = one.rival_episodes > EARLY
        apart = one.metric != ALL and one.episodes == EARLY and not beyond
        if apart or (beyond and one.arm == arm):
            own = f"@{one.episodes}: " if one.episodes > EARLY else ""
            when = f" @{one.rival_episodes}" if beyond else ""
            for rival, difference in _against(one, arm):
                if ends := _ends(difference):
                    found[f"{own}{rival}{when}, {one.metric}"] = short(difference.mean) + ends
    return found


def _ends(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return f" [{short(interval.low)}, {short(interval.high)}]"


def short(value: float) -> str:
    """Return three decimals without the zero before them: .014, -.002."""
    text = f"{round(value, 3) + 0.0:.3f}"  # no -.000
    return text.replace("0.", ".", 1) if abs(value) < 1 else text
