"""Differences by objective, and between a model after 20 episodes and a rival after its own."""

from types import SimpleNamespace

import numpy as np
import pytest

from search.commands.compare import compare
from search.comparison.contrasts import contrasts_of, rows_of

SEEDS = 3
METRICS = ["energy"] * 8 * SEEDS + ["latency"] * 8 * SEEDS


def arm(name, episodes, origin=None):
    return SimpleNamespace(name=name, episodes=episodes, origin=origin, oracle=False)


@pytest.fixture
def contrasts():
    """A model .2 below its rival for energy, .4 for latency, and .1 below where it ends at 500."""
    level = np.where(np.array(METRICS) == "energy", 0.2, 0.4)[:, None]
    curves = {"model": np.zeros((len(METRICS), 20)), "rival": np.full((len(METRICS), 500), level)}
    curves["rival"][:, -1] = 0.1
    arms = [arm("model", 20, origin="tuned"), arm("rival", 500)]
    return list(contrasts_of(arms, curves, METRICS, SEEDS))


def test_each_objective_is_told_alone_and_all_together(contrasts):
    at = {(one.metric, one.episodes, one.rival_episodes): one.difference for one in contrasts}
    assert {key[1:] for key in at} == {(1, 1), (5, 5), (20, 20), (20, 500)}
    assert [at[name, 20, 20].mean for name in ("all", "energy", "latency")] == pytest.approx(
        [0.3, 0.2, 0.4]
    )
    assert all(at[name, 20, 500].mean == pytest.approx(0.1) for name in ("all", "energy"))
    assert at["energy", 20, 20].low == pytest.approx(0.2), "8 scenarios x 3 seeds have an interval"


def test_a_line_of_the_table_says_who_is_below_whom_and_when(contrasts):
    heads, lines = rows_of(contrasts)
    assert heads == ["arm", "is below", "all", "energy", "latency"]
    assert lines[-1] == ["model @20", "rival @500", *["0.100 [0.100, 0.100]"] * 3]
    assert len(lines) == 4


def test_a_longer_budget_is_held_against_all_of_a_longer_one_too():
    curves = {"model": np.zeros((len(METRICS), 40)), "rival": np.ones((len(METRICS), 100))}
    curves |= {"short": np.ones((len(METRICS), 30))}
    arms = [arm("model", 40, origin="tuned"), arm("rival", 100), arm("short", 30)]
    found = list(contrasts_of(arms, curves, METRICS, SEEDS))
    late = {(one.against, one.episodes, one.rival_episodes) for one in found if one.episodes > 5}
    assert late == {
        ("rival", 20, 20),
        ("rival", 20, 100),
        ("rival", 40, 100),
        ("short", 20, 20),
        ("short", 20, 30),
    }


def test_one_objective_needs_no_column_of_its_own():
    curves = {"model": np.zeros((24, 5)), "rival": np.ones((24, 5))}
    arms = [arm("model", 5, origin="tuned"), arm("rival", 5)]
    found = list(contrasts_of(arms, curves, ["energy"] * 24, SEEDS))
    assert {one.metric for one in found} == {"all"}
    assert {(one.episodes, one.rival_episodes) for one in found} == {(1, 1), (5, 5)}


def test_the_pages_tell_them(make, make_model, tmp_path):
    paths = make_model("parrot", episodes=6).path, make("a", episodes=6).path
    assert compare(paths, out=tmp_path / "page") == 0
    for page in ("comparison.md", "report.html"):
        text = (tmp_path / "page" / page).read_text()
        assert "Objectives and episodes apart" in text
        assert "parrot @5" in text
