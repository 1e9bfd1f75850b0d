"""The benchmark table's card: what the rows say about kernels, in figures and plain sentences."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cim_sim.accuracy.surrogate.fit import families
from cim_sim.files import read_table, write_whole

if TYPE_CHECKING:
    import pandas as pd

BEGIN, END = "<!-- findings -->", "<!-- /findings -->"
NOISY = 0.1
"""Training noise and tested variation of the noise-injected pipeline in the pair study."""
FEWEST = 5
"""Families below which a group is too small to speak about."""
KERNELS = tuple(f"kernel_{n}" for n in range(1, 7))
CHANNELS = tuple(f"channels_{n}" for n in range(1, 7))
PLACES = {"layers 1-2": (1, 2), "layers 3-4": (3, 4), "layers 5-6": (5, 6)}
STEPS = ((1, 3), (3, 5), (3, 7), (5, 7))


class Effect(NamedTuple):
    """Mean change of accuracy with a 95 % interval that counts families, not pairs."""

    mean: float
    low: float
    high: float
    pairs: int

    def words(self) -> str:
        """The effect in points, as in `+1.2 [-.3, +2.7]`."""
        points = [100 * value for value in self[:3]]
        return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*points)

    def verdict(self) -> str:
        """What the interval allows to say."""
        if self.low > 0:
            return "helps"
        return "hurts" if self.high < 0 else "no clear effect"


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
    trainings, networks = rows["training_key"].nunique(), len(set(_networks(rows)))
    return f"The table holds {trainings} trainings of {networks} networks, {len(rows)} tests."


def _networks(rows: "pd.DataFrame") -> "pd.Series[str]":
    return rows[[*CHANNELS, *KERNELS]].astype(str).agg("-".join, axis=1)


def pairs(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Every two networks that differ in one kernel, with the larger minus the smaller kernel.

    One row for each pair and length of training; `clean` is the gap of the noise-free pipeline
    (trained and tested without noise), `noisy` that of training and testing at `NOISY`, both
    averaged over the seeds at hand, and `penalty` their difference.
    """
    import pandas as pd

    plain = rows[(rows["sigma"] == rows["training_sigma"]) & rows["adc_levels"].isna()]
    plain = plain[plain["sigma"].isin((0.0, NOISY))]
    plain = plain.assign(family=families(plain))
    names = ["family", *CHANNELS, *KERNELS, "epochs"]
    wide = plain.pivot_table(index=names, columns="sigma", values="mean")
    wide = wide.reindex(columns=[0.0, NOISY]).dropna().reset_index()
    records = []
    for (family, epochs), group in wide.groupby(["family", "epochs"]):
        kernels = group[list(KERNELS)].to_numpy()
        gaps = group[[0.0, NOISY]].to_numpy()
        for a, b in combinations(range(len(group)), 2):
            changed = np.flatnonzero(kernels[a] != kernels[b])
            if len(changed) != 1:
                continue
            small, large = (a, b) if kernels[a][changed[0]] < kernels[b][changed[0]] else (b, a)
            sizes = (int(kernels[small][changed[0]]), int(kernels[large][changed[0]]))
            clean, noisy = gaps[large] - gaps[small]
            records.append((family, epochs, int(changed[0]) + 1, *sizes, clean, noisy))
    columns = ["family", "epochs", "layer", "small", "large", "clean", "noisy"]
    table = pd.DataFrame(records, columns=columns)
    return table.assign(penalty=table["noisy"] - table["clean"])


def effect(table: "pd.DataFrame", column: str) -> Effect:
    """Mean of a column of `pairs`, with its interval.

    Cluster-robust standard error and Student's t with one degree of freedom less than there are
    families (Cameron & Miller 2015): a percentile bootstrap of few families is too narrow.
    """
    from scipy.stats import t

    mean = table[column].mean()
    strays = (table[column] - mean).groupby(table["family"]).sum()
    count = len(strays)
    error = np.sqrt(count / (count - 1) * (strays**2).sum()) / len(table)
    reach = error * t.ppf(0.975, count - 1)
    return Effect(float(mean), float(mean - reach), float(mean + reach), len(table))


def groups(table: "pd.DataFrame") -> "list[tuple[str, pd.DataFrame]]":
    """Named parts of the pairs that are large enough: by step, place and both."""
    short = table[table["epochs"] == 10]
    parts: list[tuple[str, pd.DataFrame]] = [("all pairs", short)]
    for small, large in STEPS:
        step = short[(short["small"] == small) & (short["large"] == large)]
        parts.append((f"{small}x{small} to {large}x{large}", step))
    for place, layers in PLACES.items():
        spot = short[short["layer"].isin(layers)]
        parts.append((f"{place}, from 1x1", spot[spot["small"] == 1]))
        parts.append((f"{place}, from 3x3 or larger", spot[spot["small"] > 1]))
    return [(name, part) for name, part in parts if part["family"].nunique() >= FEWEST]


def by_epochs(table: "pd.DataFrame") -> "list[tuple[str, pd.DataFrame]]":
    """The same pairs after 10, 20 and 40 epochs: only pairs that were trained at all three."""
    key = ["family", "layer", "small", "large"]
    complete = table.groupby(key)["epochs"].transform("nunique") == 3
    same = table[complete & (table["small"] > 1)]
    parts = [(f"{n} epochs", same[same["epochs"] == n]) for n in (10, 20, 40)]
    return [(name, part) for name, part in parts if part["family"].nunique() >= FEWEST]


def findings(rows: "pd.DataFrame") -> str:
    """The card's section on kernels, Markdown."""
    table = pairs(rows)
    if not groups(table):
        return f"Only {len(table)} pairs are trained yet: too few to speak about."
    lines = [
        *_in_short(groups(table)),
        *_table("Larger against smaller kernel, everything else equal (10 epochs)", groups(table)),
        *_sentences(groups(table)),
        *_table("The same pairs, trained longer (3x3 or larger made larger)", by_epochs(table)),
        *_survival(by_epochs(table)),
        "![Effect of a larger kernel](kernels.png)",
    ]
    return "\n".join(lines)


def _in_short(parts: "Sequence[tuple[str, pd.DataFrame]]") -> list[str]:
    lines = []
    for column, words in (("clean", "Without variation"), ("noisy", "With variation")):
        verdicts = [(name, effect(part, column).verdict()) for name, part in parts]
        where = {
            verdict: "; ".join(name for name, one in verdicts if one == verdict) or "nowhere"
            for verdict in ("helps", "hurts")
        }
        lines.append(
            f"- **{words}**, a larger kernel clearly helps: {where['helps']}. "
            f"Clearly hurts: {where['hurts']}."
        )
    return [*lines, ""]


def _table(title: str, parts: "Sequence[tuple[str, pd.DataFrame]]") -> list[str]:
    lines = [
        f"**{title}.** Change of accuracy in points, 95 % interval:",
        "",
        "| change | pairs | noise-free pipeline | noise-injected pipeline | difference |",
        "|---|---|---|---|---|",
    ]
    for name, part in parts:
        cells = [effect(part, column).words() for column in ("clean", "noisy", "penalty")]
        lines.append(f"| {name} | {len(part)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _sentences(parts: "Sequence[tuple[str, pd.DataFrame]]") -> list[str]:
    lines = []
    for name, part in parts:
        clean, noisy, penalty = (effect(part, c) for c in ("clean", "noisy", "penalty"))
        change = _change(clean.verdict(), noisy.verdict(), penalty.verdict())
        lines.append(
            f"- {name}: the larger kernel has {_said(clean)} without noise and {_said(noisy)} "
            f"in the noise-injected pipeline; {change} ({penalty.words()})."
        )
    alone = "Each interval stands alone: of so many, one in twenty misses by chance."
    return [*lines, "", alone, ""]


def _change(clean: str, noisy: str, penalty: str) -> str:
    """What variation does to the worth of the larger kernel, from three verdicts."""
    if penalty == "no clear effect":
        return "no difference between the pipelines can be told"
    if penalty == "helps":
        return "variation shifts the balance towards the larger kernel"
    if (clean, noisy) == ("helps", "helps"):
        return "variation takes part of its worth away"
    if (clean, noisy) == ("helps", "hurts"):
        return "variation turns the gain into a loss"
    return "variation shifts the balance towards the smaller kernel"


def _said(one: Effect) -> str:
    verdicts = {"helps": "a gain", "hurts": "a loss", "no clear effect": "no clear effect"}
    return f"{verdicts[one.verdict()]} ({one.words()})"


def _survival(parts: "Sequence[tuple[str, pd.DataFrame]]") -> list[str]:
    if len(parts) < 3:
        return ["Too few pairs were trained at 10, 20 and 40 epochs to compare yet.", ""]
    said = [f"{effect(part, 'penalty').words()} after {name}" for name, part in parts]
    return [f"The difference between the pipelines is {', '.join(said)}.", ""]


def figure(rows: "pd.DataFrame", path: Path) -> None:
    """Draw the effects with their intervals, noise-free and noise-injected side by side."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    table = pairs(rows)
    if not groups(table):
        return
    canvas, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharex=True)
    for axis, parts in zip(axes, (groups(table), by_epochs(table)), strict=True):
        heights: NDArray[np.int64] = np.arange(len(parts))[::-1]
        for column, colour, shift, label in (
            ("clean", "tab:blue", 0.12, "noise-free"),
            ("noisy", "tab:red", -0.12, f"noise-injected, sigma {NOISY}"),
        ):
            effects = np.array([effect(part, column)[:3] for _, part in parts]).reshape(-1, 3) * 100
            reach = np.abs(effects[:, 1:] - effects[:, :1]).T
            axis.errorbar(
                effects[:, 0], heights + shift, xerr=reach, fmt="o", color=colour, label=label
            )
        axis.axvline(0, color="grey", linewidth=0.8)
        axis.set_yticks(heights, [f"{name} ({len(part)})" for name, part in parts])
        axis.set_xlabel("accuracy, larger minus smaller kernel (points)")
    canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    canvas.savefig(path, dpi=110)
    plt.close(canvas)
