"""The card's findings, on a table whose answers are known."""

import pandas as pd
import pytest

from cim_sim.accuracy.bench import card as bench_card

WIDTHS = (4, 8, 12, 16, 24, 32, 9, 6, 2, 2)


def known_table(clean=0.05, noisy=-0.03):
    """Ten families with one 3x3-to-7x7 pair each in layer 2, at three lengths of training."""
    records = []
    for family, width in enumerate(WIDTHS):
        for kernel in (3, 7):
            for epochs in (10, 20, 40):
                for sigma, gap in ((0.0, clean), (0.1, noisy)):
                    kernels = {f"kernel_{n}": 3 for n in range(1, 7)} | {"kernel_2": kernel}
                    records.append(
                        {
                            **{f"channels_{n}": width + (n == 6) * family for n in range(1, 7)},
                            **kernels,
                            "training_key": f"{family} {kernel} {epochs} {sigma}",
                            "epochs": epochs,
                            "seed": 0,
                            "training_sigma": sigma,
                            "sigma": sigma,
                            "adc_levels": pd.NA,
                            "mean": 0.5 + gap * (kernel == 7),
                        }
                    )
    return pd.DataFrame(records)


def test_pairs_carry_the_gap_of_both_pipelines():
    pairs = bench_card.pairs(known_table())
    assert len(pairs) == 30
    assert set(pairs["layer"]) == {2}
    assert pairs["penalty"].mean() == pytest.approx(-0.08)


def test_findings_say_what_the_rows_say():
    text = bench_card.findings(known_table())
    assert (
        "- 3x3 to 7x7: the larger kernel has a gain (+5.0 [+5.0, +5.0]) without noise and a loss "
        "(-3.0 [-3.0, -3.0]) in the noise-injected pipeline; variation turns the gain into a loss "
        "(-8.0 [-8.0, -8.0])."
    ) in text
    assert "**Without variation**, a larger kernel clearly helps: all pairs; 3x3 to 7x7;" in text
    assert "**With variation**, a larger kernel clearly helps: nowhere. Clearly hurts: all" in text
    assert "The difference between the pipelines is -8.0 [-8.0, -8.0] after 10 epochs" in text


@pytest.mark.parametrize(
    ("clean", "noisy", "words"),
    [
        (0.05, 0.02, "takes part of its worth away"),
        (-0.02, -0.05, "shifts the balance towards the smaller kernel"),
        (-0.06, -0.02, "shifts the balance towards the larger kernel"),
        (0.03, 0.03, "no difference between the pipelines can be told"),
    ],
)
def test_what_variation_does_is_said_without_exaggeration(clean, noisy, words):
    assert words in bench_card.findings(known_table(clean, noisy))


def test_the_interval_counts_families_not_pairs():
    """Student's t over ten family sums, by hand."""
    gaps = [0.01 * n for n in range(10)]
    table = pd.DataFrame({"family": list(range(10)) * 2, "clean": gaps * 2})
    found = bench_card.effect(table, "clean")
    error = pd.Series(gaps).std() / 10**0.5
    assert found.mean == pytest.approx(0.045)
    assert found.high - found.mean == pytest.approx(2.2622 * error, rel=1e-4)
    assert found.pairs == 20


def test_a_card_without_markers_gets_them_at_its_end(tmp_path):
    known_table().to_parquet(tmp_path / "trainings.parquet")
    (tmp_path / "README.md").write_text("mine")
    bench_card.update(tmp_path / "trainings.parquet")
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("mine\n<!-- findings -->\nThe table holds 120")
    assert text.count("mine") == 1


def test_an_interval_that_holds_zero_is_said_to():
    effect = bench_card.Effect(0.01, -0.01, 0.03, 12)
    assert effect.verdict() == "no clear effect"


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
    assert text.count("The table holds 120 trainings of 20 networks, 120 tests.") == 1
    assert (tmp_path / "kernels.png").stat().st_size > 1000


def test_a_small_table_makes_no_claims():
    few = known_table()
    few = few[few["channels_1"] == 4]
    assert "too few to speak about" in bench_card.findings(few)
