"""What the static figures show: the drawn lines are those of the comparison."""

import numpy as np
import pytest

from cim_sim.config import read_yaml
from search.comparison.compare import compare
from search.comparison.equality import Arm, require_comparable
from search.comparison.figure import draw, figures
from search.comparison.isaac import references_of
from search.comparison.page import page
from search.comparison.sources import Gathered, Source

WIDE = "[[128,3],[128,3],[128,3],[128,3],[128,3],[128,3]]"


def result_of(*runs):
    gathered = Gathered([Source(run, None) for run in runs], 0)
    return compare(gathered, require_comparable(gathered), "the command")


def drawn(axes):
    """The lines that have more than one point: colour and style, then x and y."""
    return [
        ((line.get_color(), line.get_linestyle()), *np.array(line.get_data()).tolist())
        for line in axes.get_lines()
        if len(line.get_xdata()) > 1
    ]


def test_rewards_are_drawn_to_episode_20_and_after_it(make, make_model):
    """The paper's Figure 3: who has ended goes on at the best that it found."""
    runs = [make("a", episodes=30), make("b", episodes=30, seed=1)]
    runs += [make_model("base", reply=WIDE), make_model("base", reply=WIDE, seed=1)]
    result = result_of(*runs)
    early, late = dict(figures(result))["rewards"].axes
    scores = [[t.score if t.feasible else np.nan for t in run.trials] for run in runs]
    mean = np.nanmean(scores[:2], axis=0)
    (_, x, model), (look, x_random, random) = drawn(early)
    assert (x, x_random) == (list(range(1, 7)), list(range(1, 21)))
    assert model == pytest.approx(np.mean(scores[2:], axis=0), abs=1e-4)
    assert random == pytest.approx(mean[:20], abs=1e-4, nan_ok=True)
    (dotted, x, best), (same_look, x_random, random) = drawn(late)
    assert (dotted[1], x) == (":", [21, 30])
    assert best == pytest.approx([np.mean(np.max(scores[2:], axis=1))] * 2, abs=1e-4)
    assert (same_look, x_random) == (look, list(range(21, 31)))
    assert random == pytest.approx(mean[20:], abs=1e-4, nan_ok=True)
    assert early.get_legend_handles_labels()[1] == ["base", "random"]
    assert early.get_shared_y_axes().joined(early, late)


def test_a_dollar_in_a_name_is_no_mathematics(make, tmp_path):
    gathered = Gathered([Source(make("a", episodes=6), r"$\frac{a$")], 0)
    result = compare(gathered, require_comparable(gathered), "the command")
    draw(result, tmp_path)
    assert r"$\frac{a$" in (tmp_path / "regret.svg").read_text()


def test_short_runs_have_no_figure_of_rewards(make):
    assert [name for name, _ in figures(result_of(make("a", episodes=20)))] == ["regret", "fronts"]


def test_where_nothing_was_feasible_there_is_no_reward(make, make_model):
    result = result_of(make("a", episodes=21), make_model("base", reply="no design"))
    rewards = {one.arm: one for one in result.rewards}
    assert rewards["base"].mean == (None,) * 6
    assert rewards["base"].best is None
    early, late = dict(figures(result))["rewards"].axes
    assert np.isnan(drawn(early)[0][2]).all()
    assert [line.get_xdata()[0] for line in late.get_lines()] == [21]


def test_isaac_is_a_line_where_the_problem_is_the_papers(make):
    """Its constants are the paper's; the rest is Table I and this simulator."""
    paper = {"space": "configs/spaces/lcda.yaml", "scenario": "configs/scenarios/paper-energy.yaml"}
    result = result_of(make("paper", **paper), make("genetic", optimizer="genetic", **paper))
    (isaac,) = result.references
    assert isaac.costs == {"energy_pj": 8e7, "latency_ns": 625_000}
    assert "30 million for 8e+07 pJ" in isaac.words
    assert "41 million, 110 uJ on ISAAC's parts; on the chip of paper-energy it takes" in (
        isaac.words
    )
    assert isaac.words.endswith("takes 5.7 uJ at 2,945 frames/s.")
    assert isaac.words in page(result)
    energy, latency, area = dict(figures(result))["fronts"].axes
    assert [one[1] for one in drawn(energy)][-1] == [80, 80]
    assert [one[1] for one in drawn(latency)][-1] == [625, 625]
    assert [[text.get_text() for text in axes.texts] for axes in (energy, latency, area)] == [
        ["ISAAC, 80"],
        ["ISAAC, 625"],
        [],
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"objective": {"metric": "energy", "normaliser_pj": 1e8}},
        {"workload": {"dataset": "shapes"}},
    ],
)
def test_isaac_is_no_reference_elsewhere(make, change):
    scenario = read_yaml("configs/scenarios/paper-energy.yaml") | change
    run = make("other", space="configs/spaces/lcda.yaml", scenario=scenario)
    assert list(references_of([Arm("random", [run])])) == []
