"""Runs as one data set, read back with the library of the people who load it."""

import json

import pandas as pd
import pytest
import yaml

from cim_sim.config import UsageError, load
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from search.record.runs import read_run
from search.record.tasks import TaskLine
from search.study.sweep import SweepConfig, begin, jobs, run_all
from search.study.trajectories import COLUMNS, Named, write_trajectories


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Load what was exported as its card says, offline and without a cache of the machine."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_OFFLINE", True)
    cache = str(tmp_path / "cache")

    def load(folder):
        (table,) = folder.glob("*.parquet")
        one = datasets.load_dataset(
            "parquet", data_files=str(table), split="train", cache_dir=cache
        )
        other = datasets.load_dataset(str(folder), split="trajectories", cache_dir=cache)
        assert one.to_list() == other.to_list()
        return one

    return load


def named(*folders):
    return [Named("mine", read_run(folder)) for folder in folders]


def test_a_row_says_all_of_a_trial(run_of, loaded, tmp_path):
    run_of(tmp_path / "a", episodes=12)
    run_of(tmp_path / "b", optimizer="greybox", episodes=3, seed=1)
    assert write_trajectories(named(tmp_path / "a", tmp_path / "b"), tmp_path / "out") == {
        "test": 15
    }
    rows = loaded(tmp_path / "out").to_list()
    assert list(rows[0])[: len(COLUMNS)] == list(COLUMNS)
    runs = [one.run for one in named(tmp_path / "a", tmp_path / "b")]
    trials = [(one, trial) for one in runs for trial in one.trials]
    for row, (run, trial) in zip(rows, trials, strict=True):
        config = run.config
        assert TaskLine.model_validate_json(row["task"]).root == config.task
        assert (row["source"], row["scenario"], row["split"]) == ("mine", "test", "test")
        assert (row["arm"], row["seed"]) == (config.optimizer, config.seed)
        assert row["step"] == trial.step
        assert json.loads(row["design"]) == trial.design.wire()
        assert row["design.layer6.kernel"] == trial.design.layers[5].kernel
        assert row["feasible"] == trial.feasible
        assert row["reward"] == (trial.score if trial.feasible else None)
        assert row["energy_pj"] == trial.evaluation.amounts.get("energy_pj")
        assert row["predictive_std"] is None
        assert row["given.cost_model"] == (config.optimizer == "greybox")
        assert row["digest.scenario"] == config.scenario.digest
    assert len({row["run"] for row in rows}) == 2


def test_a_number_that_no_column_holds_is_said(run_of, tmp_path):
    run_of(tmp_path / "a", episodes=1, seed=2**70)
    with pytest.raises(UsageError, match="a run holds what no column can: Python int too large"):
        write_trajectories(named(tmp_path / "a"), tmp_path / "out")


def test_a_task_whose_recipe_clips_nothing_comes_back_as_it_was(run_of, tmp_path):
    """Null is not the default there, so it must be written."""
    paper = load("configs/scenarios/paper-energy.yaml", Scenario)
    assert paper.recipe.clip_rms is None
    space = load("configs/spaces/lcda.yaml", Space)
    run_of(tmp_path / "a", episodes=1, scenario=paper, space=space)
    write_trajectories(named(tmp_path / "a"), tmp_path / "out")
    (row,) = pd.read_parquet(tmp_path / "out" / "trajectories.parquet").to_dict("records")
    assert TaskLine.model_validate_json(row["task"]).root.scenario == paper


def test_a_problem_of_the_users_own_and_a_chip_share_a_table(own, run_of, loaded, tmp_path):
    own(tmp_path / "own", episodes=8)
    run_of(tmp_path / "chip", episodes=2)
    counts = write_trajectories(named(tmp_path / "own", tmp_path / "chip"), tmp_path / "out")
    assert counts == {"own": 8, "test": 2}
    rows = loaded(tmp_path / "out").to_list()
    assert {row["split"] for row in rows[:8]} == {None}
    assert {row["evaluator"] for row in rows[:8]} == {"python toy_array:evaluate"}
    for row in rows[:8]:
        assert json.loads(row["design"])["tile"] == row["design.tile"]
        assert row["design.layer1.kernel"] is None
        cycles = None if row["reward"] is None else -64 * row["reward"]
        assert row["measured.cycles"] == cycles
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Trials by `split`: own 8, test 2." in card
    assert "Measured here: `measured.cycles`." in card


def test_the_card_names_sources_splits_judges_and_every_column(run_of, tmp_path):
    run_of(tmp_path / "a", episodes=2)
    write_trajectories(named(tmp_path / "a"), tmp_path / "out")
    head, card = (
        (tmp_path / "out" / "README.md").read_text().removeprefix("---\n").split("---\n", 1)
    )
    facts = yaml.safe_load(head)
    assert facts["license"] == "mit"
    assert facts["configs"][0]["data_files"] == [
        {"split": "trajectories", "path": "trajectories.parquet"}
    ]
    assert "| mine | 1 | 2 | test |" in card
    assert "- `test`: **not to be trained on**, nor chosen by." in card
    assert "`trained` 2 trials; 1 different `digest.evaluator`" in card
    table = pd.read_parquet(tmp_path / "out" / "trajectories.parquet")
    for name in table:
        assert f"`{name}`" in card
    assert str(tmp_path) not in card + table.to_csv()


def test_a_sweep_lends_its_arms_their_names(tmp_path):
    arms = {"guess": {"optimizer": "random", "episodes": 2}}
    listed = ["configs/scenarios/embedded-energy.yaml"]
    data = {"space": "configs/spaces/embedded.yaml", "scenarios": listed, "arms": arms}
    config = SweepConfig.model_validate({**data, "seeds": 2, "screens": [0, 2]})
    out = tmp_path / "sweep"
    begin(config, out, resume=False)
    tasks = jobs(config, out)
    assert not [failed for _, failed in run_all(tasks, 1, tmp_path / "cache") if failed]
    write_trajectories(named(*(job.out for job in tasks)), tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out" / "trajectories.parquet")
    assert set(table["arm"]) == {"guess"}
    assert sorted(set(zip(table["screen"], table["seed"], strict=True))) == [
        (0, 0), (0, 1), (2, 0), (2, 1),
    ]  # fmt: skip
    judged = table[table["accuracy"].notna()]
    assert len(judged)
    assert (judged["predictive_std"] > 0).all()
