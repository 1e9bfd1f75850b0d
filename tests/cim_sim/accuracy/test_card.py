"""The card's findings, on a table whose answers are known."""

import pandas as pd
import pytest

from cim_sim.accuracy.bench import card as bench_card
from cim_sim.intervals import Interval

WIDTHS = (4, 8, 12, 16, 24, 32, 9, 6, 2, 2)
UNCLIPPED = 5
"""Families that are trained without clipping too."""
PRICES = {16: 0.07, 32: 0.02}


def known_table(clean=0.05, noisy=-0.03, unclipped_noisy=-0.08):
    """Ten families with one 3x3-to-7x7 pair each in layer 2; five of them unclipped too."""
    records = []
    for family, width in enumerate(WIDTHS):
        for kernel in (3, 7):
            for clip_rms in (2.5, None)[: 2 if family < UNCLIPPED else 1]:
                for training_sigma, sigma in bench_card.SETTINGS.values():
                    gap = clean if sigma == 0 else noisy if clip_rms else unclipped_noisy
                    kernels = {f"kernel_{n}": 3 for n in range(1, 7)} | {"kernel_2": kernel}
                    shared = {
                        **{f"channels_{n}": width + (n == 6) * family for n in range(1, 7)},
                        **kernels,
                        "training_key": f"{family} {kernel} {clip_rms} {training_sigma}",
                        "dataset": "shapes",
                        "clip_rms": clip_rms,
                        "seed": 0,
                        "training_sigma": training_sigma,
                        "sigma": sigma,
                        "adc_levels": pd.NA,
                        "adc_rows": pd.NA,
                    }
                    mean = 0.5 + gap * (kernel == 7)
                    records.append({**shared, "mean": mean})
                    if sigma == training_sigma:
                        records += [
                            {**shared, "adc_levels": n, "adc_rows": 128, "mean": mean - price}
                            for n, price in PRICES.items()
                        ]
    rows = pd.DataFrame(records)
    return rows.astype({"adc_levels": "Int16", "adc_rows": "Int16", "clip_rms": "Float64"})


def test_pairs_carry_the_gap_of_every_setting_and_both_ways_of_clipping():
    pairs = bench_card.pairs(known_table())
    assert len(pairs) == (10 + UNCLIPPED) * len(bench_card.SETTINGS)
    assert set(pairs["place"]) == {"layers 1-2"}
    assert not pairs["from_1x1"].any()
    by_setting = pairs[pairs["clipped"]].groupby("setting")["gap"].mean()
    assert by_setting["no variation"] == pytest.approx(0.05)
    assert by_setting["trained and tested at .2"] == pytest.approx(-0.03)


def test_only_networks_of_which_one_has_no_smaller_kernel_are_pairs():
    table = known_table()
    mixed = table[table["kernel_2"] == 7].assign(kernel_2=5, kernel_1=1)
    pairs = bench_card.pairs(pd.concat([table, mixed], ignore_index=True))
    assert set(pairs["place"]) == {"layers 1-2"}
    assert sorted(pairs["pair"].unique()) == [
        "[1 5 3 3 3 3] [3 7 3 3 3 3]",
        "[3 3 3 3 3 3] [3 7 3 3 3 3]",
    ]
    assert pairs.groupby("pair")["from_1x1"].first().tolist() == [True, False]


def test_findings_say_what_the_rows_say():
    text = bench_card.findings(known_table())
    assert "- **No variation**, larger kernels clearly help: all pairs; layers 1-2." in text
    assert (
        "- **Trained and tested at .1**, larger kernels clearly help: nowhere. "
        "Clearly hurt: all pairs; layers 1-2."
    ) in text
    assert (
        "- **Clipping, trained and tested at .1**: it changes the worth of larger kernels by "
        "+5.0 [+5.0, +5.0] points (in their favour)."
    ) in text
    assert "Clipping, no variation**: it changes the worth of larger kernels by +0.0" in text
    assert "| layers 1-2 | 10 | +5.0 [+5.0, +5.0] | -3.0 [-3.0, -3.0] |" in text
    assert "| layers 1-2 | 5 | +5.0 [+5.0, +5.0] | -8.0 [-8.0, -8.0] |" in text


def test_converters_are_priced_by_levels_and_rows_against_the_same_training():
    text = bench_card.findings(known_table())
    assert "**What converters cost on shapes.**" in text
    assert "| levels | 128 word lines |" in text
    assert "| 16 | +7.0 [+7.0, +7.0] |" in text
    assert "| 32 | +2.0 [+2.0, +2.0] |" in text


def test_the_interval_counts_families_not_pairs():
    """Student's t over ten family sums, by hand."""
    gaps = [0.01 * n for n in range(10)]
    table = pd.DataFrame({"family": list(range(10)) * 2, "gap": gaps * 2})
    found = bench_card.effect(table, "gap")
    error = pd.Series(gaps).std() / 10**0.5
    assert found.mean == pytest.approx(4.5)
    assert found.high - found.mean == pytest.approx(226.22 * error, rel=1e-4)
    assert found.n == 10


def test_a_card_without_markers_gets_them_at_its_end(tmp_path):
    known_table().to_parquet(tmp_path / "trainings.parquet")
    (tmp_path / "README.md").write_text("mine")
    bench_card.update(tmp_path / "trainings.parquet")
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("mine\n<!-- findings -->\nThe table holds 90")
    assert text.count("mine") == 1


def test_an_interval_that_holds_zero_is_said_to():
    effect = Interval(mean=1.0, low=-1.0, high=3.0, n=12)
    assert bench_card.verdict(effect) == "no clear effect"


def test_the_card_is_updated_between_its_markers(tmp_path):
    parquet = tmp_path / "trainings.parquet"
    known_table().to_parquet(parquet)
    card = tmp_path / "README.md"
    card.write_text(f"before\n{bench_card.BEGIN}\noutdated\n{bench_card.END}\nafter\n")
    bench_card.update(parquet)
    bench_card.update(parquet)
    text = card.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "outdated" not in text
    assert text.count("The table holds 90 trainings of 20 networks, 330 tests.") == 1
    assert (tmp_path / "kernels.png").stat().st_size > 1000


def test_a_small_table_makes_no_claims():
    few = known_table()
    few = few[few["channels_1"] == 4]
    assert "too few to speak" in bench_card.findings(few)
