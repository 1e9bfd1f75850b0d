"""What a sweep's trials come to: regret, feasibility, scales, and the page that says so."""

import numpy as np
import pandas as pd
import pytest

from cim_sim.config import UsageError
from search.commands.results import HEAD, RIVALS, rendered, results
from search.stats import RegretEnds
from search.study import sweep_table
from search.study.sweep_page import LEGEND, SweepResult, page, results_page


def rows(arm, scenario, seed, rewards, optimizer="random"):
    return pd.DataFrame(
        {
            "scenario": scenario,
            "arm": arm,
            "optimizer": optimizer,
            "screen": 0,
            "seed": seed,
            "step": range(len(rewards)),
            "reward": rewards,
            "infeasible": [None if np.isfinite(one) else "area" for one in rewards],
            "duplicate_of": np.nan,
            "seconds": 0.002,
        }
    )


def result(arms):
    return SweepResult(
        tasks="3 of near", judge="surrogate", arms=arms, trials=20, scale_source="given",
        scenarios=(1, 3), seeds=2,
    )  # fmt: skip


def test_regret_is_one_until_something_is_feasible_and_counts_what_never_was():
    nan = np.nan
    table = pd.concat(
        [
            rows("a", "s", 0, [nan, nan, 0.2, 0.6, 0.4]),
            rows("a", "s", 1, [0.5, 0.3, 0.9, 1.0, 1.0]),
            rows("b", "s", 0, [nan] * 5),
            rows("b", "s", 1, [nan] * 5),
        ]
    )
    a, b = sweep_table.summarise(table, {"s": RegretEnds(1.0, 0.5, "given")})
    assert a.regret[1].mean == pytest.approx((1 + 1) / 2)
    assert a.regret[5].mean == pytest.approx((0.8 + 0) / 2)
    assert (a.regret[5].low, a.regret[5].high) == pytest.approx((0.0, 0.8))
    assert list(a.regret) == [1, 5]
    assert (a.infeasible, a.first_feasible, a.never_feasible) == (0.2, 2.0, 0.0)
    assert (b.infeasible, b.first_feasible, b.never_feasible) == (1.0, None, 1.0)
    assert a.ms_per_episode == pytest.approx(2)
    text = page(result([a, b]))
    assert "Means over 1 scenarios (of 3; the others have no scale of regret) x 2 seeds." in text
    assert (
        "| a | - | 1.000 [1.000, 1.000] | 0.400 [0.000, 0.800] | 20% | 0% | 2 | 0% | 2.0 |" in text
    )
    assert (
        "| b | - | 1.000 [1.000, 1.000] | 1.000 [1.000, 1.000] | 100% | 0% | none | 100% |" in text
    )


def test_without_a_known_optimum_the_sweep_itself_gives_the_scale():
    table = pd.concat(
        [rows("r", "s", 0, [0.1, 0.2, 0.3]), rows("g", "s", 0, [0.2, 0.7, 0.1], "genetic")]
    )
    assert sweep_table.scales_of_trials(table) == {
        "s": RegretEnds(0.7, 0.2, "the best of this sweep")
    }


def test_rounding_is_no_scale():
    table = pd.concat([rows("r", "s", 0, [0.3, 0.3]), rows("g", "s", 0, [0.3 + 1e-15], "genetic")])
    assert sweep_table.scales_of_trials(table) == {}


def test_the_page_of_kept_results_is_rendered_from_them_alone(tmp_path):
    """Each folder a section, by name; what stands before the mark is left alone."""
    (arm,) = sweep_table.summarise(rows("a", "s", 0, [0.2, 0.6]), {"s": RegretEnds(1.0, 0.5, "x")})
    for name in ("near", "blind"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sweep.json").write_text(result([arm]).model_dump_json())
    (tmp_path / "README.md").write_text(f"# Mine\n\n{HEAD}\nold\n")
    assert results(tmp_path) == 0
    text = (tmp_path / "README.md").read_text()
    assert text.startswith(f"# Mine\n\n{HEAD}\n{LEGEND}\n\n### blind\n\nTasks: 3 of near")
    assert text.index("### near") > text.index("### blind")
    assert text.count("\n".join(page(result([arm])).splitlines()[:3])) == 2
    assert "old" not in text
    assert rendered(text, tmp_path) == text


def test_a_folder_without_results_says_how_to_make_one(tmp_path):
    with pytest.raises(
        UsageError, match=r"no \*/sweep.json in it; make one: python -m search sweep"
    ):
        results_page(tmp_path)


def test_the_committed_page_is_that_of_the_committed_results():
    text = (RIVALS / "README.md").read_text()
    assert rendered(text, RIVALS) == text
