"""The benchmark table's card: what the rows say about kernels, in figures and plain sentences."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cim_sim import cards
from cim_sim.accuracy.bench.columns import KERNELS, NETWORK, families, kernel_pairs
from cim_sim.files import read_table, write_whole
from cim_sim.intervals import Interval, clustered

if TYPE_CHECKING:
    import pandas as pd

BEGIN, END = "<!-- findings -->", "<!-- /findings -->"
FEWEST = 4
"""Families below which a group is too small to speak about."""
PLACES = {"layers 1-2": {1, 2}, "layers 3-4": {3, 4}, "layers 5-6": {5, 6}}
SETTINGS = {
    "no variation": (0.0, 0.0),
    "trained and tested at .1": (0.1, 0.1),
    "trained and tested at .2": (0.2, 0.2),
    "trained without noise, tested at .1": (0.0, 0.1),
    "trained without noise, tested at .2": (0.0, 0.2),
}
"""Training noise and tested variation of the pair study."""


def update(parquet: Path) -> None:
    """Rewrite the findings between the markers of the card beside `parquet`, and the figure."""
    rows = read_table(parquet)
    card = parquet.with_name("README.md")
    text = card.read_text(encoding="utf-8") if card.exists() else ""
    if BEGIN not in text or END not in text:
        text += f"\n{BEGIN}\n{END}\n"
    before, after = text.split(BEGIN)[0], text.split(END)[-1]
    figure(rows, parquet.with_name("kernels.png"))
    section = f"{_size(rows)}\n\n{findings(rows)}"
    write_whole(card, f"{before}{BEGIN}\n{section}\n{END}{after}")


def _size(rows: "pd.DataFrame") -> str:
    trainings, networks = rows["training_key"].nunique(), len(rows[NETWORK].drop_duplicates())
    return f"The table holds {trainings} trainings of {networks} networks, {len(rows)} tests."


def pairs(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Every two `shapes` networks, unlike in kernels alone, of which one has no smaller kernel.

    One row for each pair, clipping and setting: `gap` is the accuracy of the larger kernels less
    that of the smaller, both averaged over the seeds at hand, conversion ideal; `layers` are those
    that differ and `from_1x1` says whether the smaller kernel there is 1x1.
    """
    import pandas as pd

    plain = rows[(rows["dataset"] == "shapes") & rows["adc_levels"].isna()]
    plain = plain.assign(family=families(plain), clipped=plain["clip_rms"].notna())
    names = ["family", "clipped", *KERNELS]
    wide = plain.pivot_table(index=names, columns=["training_sigma", "sigma"], values="mean")
    wide = wide.reindex(columns=list(SETTINGS.values()))
    wide.columns = list(SETTINGS)
    records = [
        record
        for (family, clipped), group in wide.reset_index().groupby(["family", "clipped"])
        for record in _pairs_of(group, str(family), bool(clipped))
    ]
    columns = ["family", "clipped", "pair", "place", "from_1x1", "setting", "gap"]
    return pd.DataFrame(records, columns=columns).dropna()


def _pairs_of(group: "pd.DataFrame", family: str, clipped: bool) -> Iterator[tuple[Any, ...]]:
    kernels, means = group[KERNELS].to_numpy(), group[list(SETTINGS)].to_numpy()
    for small, large, changed in kernel_pairs(kernels):
        pair, place = f"{kernels[small]} {kernels[large]}", _place(changed + 1)
        from_1x1 = bool((kernels[small][changed] == 1).any())
        for setting, gap in zip(SETTINGS, means[large] - means[small], strict=True):
            yield family, clipped, pair, place, from_1x1, setting, gap


def _place(layers: "NDArray[np.int64]") -> str:
    """Where the kernels differ: a pair of layers, or several places."""
    for name, place in PLACES.items():
        if set(layers.tolist()) <= place:
            return name
    return "several places"


def effect(table: "pd.DataFrame", column: str) -> Interval:
    """Mean of a column in points of accuracy; its interval counts rows of one `family` as one."""
    return clustered(100 * table[column], table["family"])


def verdict(found: Interval) -> str:
    """Return what an interval allows to say."""
    if found.contains_zero:
        return "no clear effect"
    return "helps" if found.mean > 0 else "hurts"


def groups(table: "pd.DataFrame") -> "list[tuple[str, pd.DataFrame]]":
    """Named parts of `pairs`, by place."""
    parts: list[tuple[str, pd.DataFrame]] = [("all pairs", table)]
    for place in (*PLACES, "several places"):
        spot = table[table["place"] == place]
        for name, part in (
            (place, spot[~spot["from_1x1"]]),
            (f"{place}, from 1x1", spot[spot["from_1x1"]]),
        ):
            parts.append((name, part))
    return [(name, part) for name, part in parts if part["family"].nunique() >= FEWEST]


def clipping(table: "pd.DataFrame") -> "pd.DataFrame":
    """The pairs that are trained in both ways: `gap` is what clipping adds to the gap."""
    shared = ["family", "pair", "place", "from_1x1", "setting"]
    wide = table.pivot(index=shared, columns="clipped", values="gap")
    wide = wide.reindex(columns=[True, False]).dropna()
    return wide.assign(gap=wide[True] - wide[False]).reset_index()[[*shared, "gap"]]


def adc_prices(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Accuracy that each ADC costs each training, at the noise it was trained at.

    Columns family, dataset, adc_levels, adc_rows, price.
    """
    matched = rows[(rows["sigma"] == rows["training_sigma"]) & rows["clip_rms"].notna()]
    matched = matched.assign(family=families(matched))
    ideal = matched[matched["adc_levels"].isna()].set_index("training_key")["mean"]
    tested = matched[matched["adc_levels"].notna()]
    price = ideal.reindex(tested["training_key"]).to_numpy() - tested["mean"].to_numpy()
    columns = ["family", "dataset", "adc_levels", "adc_rows", "price"]
    return tested.assign(price=price)[columns].dropna()


def findings(rows: "pd.DataFrame") -> str:
    """The card's sections on kernels and on converters, Markdown."""
    table = pairs(rows)
    if table["family"].nunique() < FEWEST:
        return f"Only {table['family'].nunique()} families of pairs are trained: too few to speak."
    both = clipping(table)
    shared = table[table["family"].isin(set(both["family"]))]
    lines = [
        *_in_short(table[table["clipped"]], both),
        *_table("Larger against smaller kernels, weights clipped", table[table["clipped"]]),
        *_table("The same, weights not clipped (fewer families)", table[~table["clipped"]]),
        *_table("Those families, weights clipped", shared[shared["clipped"]]),
        *_table("What clipping adds to the worth of larger kernels", both),
        *_converters(adc_prices(rows)),
        "![Effect of larger kernels](kernels.png)",
    ]
    return "\n".join(lines)


def _in_short(clipped: "pd.DataFrame", both: "pd.DataFrame") -> list[str]:
    """What every interval allows to say, in sentences."""
    lines = [_sentence(setting, clipped[clipped["setting"] == setting]) for setting in SETTINGS]
    for setting in SETTINGS:
        part = both[both["setting"] == setting]
        if part["family"].nunique() >= FEWEST:
            found = effect(part, "gap")
            lines.append(
                f"- **Clipping, {setting}**: it changes the worth of larger kernels by "
                f"{found:+.1f} points ({FAVOUR[verdict(found)]})."
            )
    alone = "Each interval stands alone: of so many, one in twenty misses by chance."
    return [*lines, "", alone, ""]


FAVOUR = {
    "helps": "in their favour",
    "hurts": "against them",
    "no clear effect": "no clear effect",
}


def _sentence(setting: str, table: "pd.DataFrame") -> str:
    verdicts = [(name, verdict(effect(part, "gap"))) for name, part in groups(table)]
    where = {
        verdict: "; ".join(name for name, one in verdicts if one == verdict) or "nowhere"
        for verdict in ("helps", "hurts")
    }
    return (
        f"- **{setting[0].upper()}{setting[1:]}**, larger kernels clearly help: {where['helps']}. "
        f"Clearly hurt: {where['hurts']}."
    )


def _table(title: str, table: "pd.DataFrame") -> list[str]:
    if table["family"].nunique() < FEWEST:
        return []
    rows = []
    for name, part in groups(table):
        own = [part[part["setting"] == setting] for setting in SETTINGS]
        rows.append([name, str(max(map(len, own))), *(_cell(one, "gap") for one in own)])
    words = f"**{title}.** Change of accuracy in points, 95 % interval:"
    return [words, "", *cards.table(["where", "pairs", *SETTINGS], rows), ""]


def _converters(prices: "pd.DataFrame") -> list[str]:
    """Tables of what converters cost, by levels and rows, for each data set."""
    lines = []
    for dataset, own in prices.groupby("dataset"):
        sums = sorted(own["adc_rows"].unique())
        rows = [
            [str(levels), *(_cell(part[part["adc_rows"] == one], "price") for one in sums)]
            for levels, part in own.groupby("adc_levels")
        ]
        lines += [
            f"**What converters cost on {dataset}.** Accuracy with ideal conversion less that with "
            "the ADC, each on chips of its own, in points, 95 % interval:",
            "",
            *cards.table(["levels", *(f"{one} word lines" for one in sums)], rows),
            "",
        ]
    return lines


def _cell(table: "pd.DataFrame", column: str) -> str:
    return f"{effect(table, column):+.1f}" if table["family"].nunique() >= FEWEST else "too few"


def figure(rows: "pd.DataFrame", path: Path) -> None:
    """Draw the effects with their intervals, with clipping and without side by side."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    table = pairs(rows)
    parts = [table[table["clipped"]], table[~table["clipped"]]]
    canvas, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharex=True)
    for axis, part, title in zip(axes, parts, ("clipped", "not clipped"), strict=True):
        if part["family"].nunique() >= FEWEST:
            _draw(axis, part)
        axis.set_title(title)
        axis.axvline(0, color="grey", linewidth=0.8)
        axis.set_xlabel("accuracy, larger minus smaller kernels (points)")
    canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    canvas.savefig(path, dpi=110)
    plt.close(canvas)


def _draw(axis: Any, table: "pd.DataFrame") -> None:
    parts = groups(table)
    heights: NDArray[np.int64] = np.arange(len(parts))[::-1]
    for shift, setting in enumerate(list(SETTINGS)[:3]):
        own = [part[part["setting"] == setting] for _, part in parts]
        found = [effect(one, "gap") for one in own]
        means = np.array([one.mean for one in found])
        reach = np.array([one.high for one in found], float) - means
        places = heights - 0.2 * (shift - 1)
        axis.errorbar(means, places, xerr=reach, fmt="o", label=setting)
    axis.set_yticks(heights, [name for name, _ in parts])
