"""Which arm is better than which: paired differences, episodes to match, and sentences."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from cim_sim.types import Floats
from search.comparison.result import ArmResult, Claim, Match
from search.stats import LEAST, Resampling, first_at_most, holm

LEVEL = 0.05
"""Largest corrected p-value of a claim."""


def claims_of(
    arms: Sequence[ArmResult], curves: Mapping[str, Floats], resampling: Resampling
) -> list[Claim]:
    """Return every claim, with or without what supports it.

    Args:
        arms: all of them.
        curves: regret of each arm, [cells, episodes].
        resampling: the draws of cells that all intervals share.
    """
    pairs = list(_pairs(arms))
    budgets = [min(arm.episodes, rival.episodes) for arm, rival in pairs]
    differences = [
        curves[rival.name][:, episodes - 1] - curves[arm.name][:, episodes - 1]
        for (arm, rival), episodes in zip(pairs, budgets, strict=True)
    ]
    chances = [resampling.chance(one) if resampling.bounded else None for one in differences]
    corrected = _corrected(chances, [bool(arm.origin) for arm, _ in pairs])
    claims = []
    for place, (arm, rival) in enumerate(pairs):
        difference = resampling.interval(differences[place])
        chance, p_holm = chances[place], corrected[place]
        shown = difference.contains_zero is False and p_holm is not None and p_holm < LEVEL
        claim = Claim(
            arm=arm.name,
            against=rival.name,
            episodes=budgets[place],
            difference=difference,
            p=chance,
            p_holm=p_holm,
            shown=shown,
            match=_match(curves[arm.name], curves[rival.name], resampling),
            sentence="",
        )
        claims.append(
            claim.model_copy(update={"sentence": _sentence(claim, arm, rival, resampling)})
        )
    return claims


def _corrected(chances: Sequence[float | None], of_models: Sequence[bool]) -> list[float | None]:
    """Correct p-values within the claims on language models, and within the others."""
    corrected: list[float | None] = [None] * len(chances)
    for family in (True, False):
        places = [place for place, kind in enumerate(of_models) if kind == family]
        known = [(place, one) for place in places if (one := chances[place]) is not None]
        for (place, _), value in zip(known, holm([one for _, one in known]), strict=True):
            corrected[place] = value
    return corrected


def rivals_of(arms: Sequence[ArmResult]) -> Iterator[tuple[ArmResult, ArmResult]]:
    """Yield every language model with those before it, and with every rival that is no oracle."""
    models = [arm for arm in arms if arm.origin]
    yield from ((later, earlier) for earlier, later in combinations(models, 2))
    rivals = [arm for arm in arms if not arm.origin and not arm.oracle]
    yield from ((arm, rival) for arm in models for rival in rivals)


def _pairs(arms: Sequence[ArmResult]) -> Iterator[tuple[ArmResult, ArmResult]]:
    """Every language model against every rival and those before it; the others against random.

    Where there is neither a model nor random, each arm against those after it. An oracle is a bound
    and no rival.
    """
    models = [arm for arm in arms if arm.origin]
    rivals = [arm for arm in arms if not arm.origin and not arm.oracle]
    yield from rivals_of(arms)
    random = [arm for arm in rivals if arm.optimizer == "random"]
    rest = [arm for arm in rivals if arm.optimizer != "random"]
    yield from combinations(random, 2)
    yield from ((arm, rival) for rival in random for arm in rest)
    if not (models or random):
        yield from combinations(rivals, 2)


def _match(curves: Floats, rival: Floats, resampling: Resampling) -> Match:
    """Compare mean curves: of all cells, and of each draw of cells."""

    def episodes(value: float) -> int | None:
        return int(value) if np.isfinite(value) else None

    found = first_at_most(curves.mean(axis=0), rival[:, -1].mean())
    low = high = None
    if resampling.bounded:
        drawn = first_at_most(resampling.means(curves), resampling.means(rival[:, -1]))
        low, high = (episodes(end) for end in resampling.ends(drawn))
    return Match(
        rival_episodes=rival.shape[1],
        episodes=episodes(float(found)),
        low=low,
        high=high,
        bounded=resampling.bounded,
    )


def _sentence(claim: Claim, arm: ArmResult, rival: ArmResult, resampling: Resampling) -> str:
    difference = claim.difference
    if not resampling.bounded:
        least = f"{LEAST[0]} scenarios x {LEAST[1]} seeds"
        side = "lower" if difference.mean > 0 else "higher"
        text = (
            f"Not shown: the regret of {arm.name} is {abs(difference.mean):.3f} {side} than that "
            f"of {rival.name} after {claim.episodes} episodes, over {resampling.scenarios} x "
            f"{resampling.cells // resampling.scenarios}; an interval takes {least}"
        )
    elif claim.shown:
        less = "lower" if difference.mean > 0 else "higher"
        size = f"{abs(difference.mean):.3f} [{_ends(claim)}]"
        text = (
            f"After {claim.episodes} episodes the regret of {arm.name} is {less} than that of "
            f"{rival.name} by {size}, p = {claim.p_holm:.2g}"
        )
    else:
        text = (
            f"Not shown: that {arm.name} and {rival.name} differ after {claim.episodes} episodes; "
            f"{difference:.3f}, p = {claim.p_holm:.2g}"
        )
    return f"{text}. {_matched(claim, arm)}{_information(arm, rival)}"


def _ends(claim: Claim) -> str:
    ends = sorted(
        abs(end) for end in (claim.difference.low, claim.difference.high) if end is not None
    )
    return ", ".join(f"{end:.3f}" for end in ends)


def _matched(claim: Claim, arm: ArmResult) -> str:
    match, beyond = claim.match, f"> {arm.episodes}"
    count, low, high = (
        beyond if one is None else str(one) for one in (match.episodes, match.low, match.high)
    )
    interval = f" [{low}, {high}]" if match.bounded else ""
    return f"Episodes to match {claim.against}@{match.rival_episodes}: {count}{interval}."


def _information(arm: ArmResult, rival: ArmResult) -> str:
    """Say when the two were not told the same."""
    unequal = [f"{one.name} was given {one.given.words}" for one in (arm, rival)]
    screens = arm.screen != rival.screen
    told = f" Not equally informed: {'; '.join(unequal)}." if arm.given != rival.given else ""
    return told + (f" Screening: {arm.screen} and {rival.screen} proposals." if screens else "")
