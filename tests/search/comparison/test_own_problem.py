"""Searches of the user's own on one page: no costs, and regret as far as it is known."""

import json

import pandas as pd
import pytest

from cim_sim.config import load
from search.commands.compare import compare
from search.comparison.equality import NotComparable
from search.comparison.result import Comparison
from search.comparison.write import compared
from search.record.runs import read_run
from search.study.sweep import ArmSpec, SweepConfig, jobs, run_all
from search.study.table import write_trials

OPTIMUM = 2.0
"""More than anything that the toy has."""


@pytest.fixture
def page(own, tmp_path):
    """Compare three arms of two seeds; returns the result and its folder."""

    def make(**scenario):
        given = read_run_scenario(own, tmp_path) | scenario
        places = []
        for optimizer in ("random", "tpe", "reinforce"):
            for seed in (0, 1):
                places.append(tmp_path / f"{optimizer}-{seed}")
                own(places[-1], optimizer=optimizer, seed=seed, scenario=given)
        assert compare(tuple(places), out=tmp_path / "page") == 0
        return load(tmp_path / "page" / "comparison.json", Comparison), tmp_path / "page"

    return make


def read_run_scenario(own, tmp_path):
    own(tmp_path / "first", episodes=1)
    return read_run(tmp_path / "first").config.scenario.model_dump(mode="json")


def test_there_is_no_figure_of_costs(page):
    result, folder = page()
    assert (result.fronts, result.kernels) == ((), ())
    assert (result.evaluator, result.simulator) == ("python toy_array:evaluate", "own")
    assert {file.stem for file in folder.iterdir()} >= {"regret", "claims", "report"}
    assert not list(folder.glob("fronts*"))
    text = (folder / "comparison.md").read_text()
    assert "Accuracy against cost" not in text
    assert "speed over the rival's" in text


def test_without_an_optimum_the_best_of_the_runs_stands_in_and_that_is_said(page):
    result, _ = page()
    (facts,) = result.scenarios
    assert facts.source == "the best of these runs"
    assert facts.optimum == max(best.reward for best in facts.best_in.values())
    assert any("the winner's is 0 by construction" in note for note in result.notes)


def test_a_known_optimum_is_the_scale_of_regret(page):
    result, _ = page(optimum=OPTIMUM)
    (facts,) = result.scenarios
    assert (facts.optimum, facts.source) == (OPTIMUM, "optimum of the scenario")
    assert all(arm.curve[-1] > 0 for arm in result.arms)
    assert not any("by construction" in note for note in result.notes)


def test_without_a_random_arm_there_is_no_scale(own, tmp_path):
    own(tmp_path / "tpe", optimizer="tpe")
    with pytest.raises(NotComparable, match="where no optimum is known it takes a random arm"):
        compared([tmp_path / "tpe"], tmp_path / "page")


def test_a_better_design_is_named_whatever_the_scale(page):
    """Rewards are -1 and less, so that the paper's -1 of an infeasible design must not count."""
    _, folder = page()
    text = (folder / "report.html").read_text(encoding="utf-8")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    for story in data["stories"]:
        best = [one["result"] for one in story["steps"] if one["best"]]
        assert best
        assert all("cycles" in result for result in best)


def test_a_sweep_of_own_scenarios_has_a_table_with_what_was_measured(own, tmp_path):
    own(tmp_path / "one", episodes=1)
    one = read_run(tmp_path / "one").config
    other = one.scenario.model_copy(update={"name": "other", "facts": {"rows": 8}})
    wanted = SweepConfig(
        scenarios=(one.scenario, other),
        space=one.space,
        arms={"random": ArmSpec(optimizer="random", episodes=4)},
        seeds=2,
        evaluator=one.evaluator,
    )
    tasks = jobs(wanted, tmp_path / "sweep")
    assert [failed for _, failed in run_all(tasks, 1, tmp_path / "cache") if failed] == []
    assert write_trials(tasks, tmp_path / "sweep") == 16
    table = pd.read_parquet(tmp_path / "sweep" / "trials.parquet")
    feasible = table[table["reward"].notna()]
    rows = feasible["scenario"].map({"one layer": 64, "other": 8})
    assert (feasible["measured.cycles"] == -rows * feasible["reward"]).all()
    assert set(table["infeasible"].dropna()) <= {"own"}
    assert table["accuracy"].isna().all()
