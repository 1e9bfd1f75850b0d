import json

import numpy as np
import pytest

from cim_sim.config import UsageError, dump
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from search import landscape
from search.commands.optimum import optimum as verb
from search.study import optimum

SMALL = Space(name="small", channels=(16, 64, 128), kernels=(1, 3), layers=6, width_divisor=4)
"""6^6 designs: small enough to look at all of them."""


def rising(space):
    """An accuracy that is known everywhere: wide networks are better, to a point."""

    def accuracy(population):
        channels, kernels = landscape.networks(space, population)
        wide = np.log2(channels).mean(axis=1) / 8
        return np.clip(0.9 * wide - 0.02 * (kernels - 3).std(axis=1), 0, 1)

    return accuracy


@pytest.fixture
def scenario(config):
    def make(**changes):
        return Scenario.model_validate({**config().scenario.model_dump(), **changes})

    return make


def test_searches_end_at_the_true_optimum_of_a_space_that_can_be_enumerated(scenario, monkeypatch):
    problem = scenario(limits={"area_um2": 2.5e7, "accuracy": 0.4})
    truth = optimum.find(problem, SMALL, rising(SMALL))
    assert truth.method == "exhaustive"
    assert truth.evaluations == SMALL.size + optimum.SAMPLE
    monkeypatch.setattr(optimum, "EXHAUSTIVE", 0)
    found = optimum.find(problem, SMALL, rising(SMALL))
    assert (found.method, found.agreeing) == ("searches", optimum.AGREEING)
    assert found.reward == pytest.approx(truth.reward, abs=1e-12)
    assert found.median_feasible == truth.median_feasible < truth.reward
    assert found.evaluations < SMALL.size


def test_an_optimum_keeps_all_limits(scenario, space):
    limits = {"area_um2": 9e6, "accuracy": 0.45}
    found = optimum.find(scenario(limits=limits), space, rising(space))
    population = np.array([space.encode(found.design)])
    assert landscape.prices(scenario(limits=limits), space, population).allowed.all()
    assert rising(space)(population)[0] >= 0.45


def test_nothing_feasible_is_said_so(scenario, space):
    found = optimum.find(scenario(limits={"area_um2": 1.0}), space, rising(space))
    assert (found.design, found.reward, found.median_feasible) == (None, None, None)
    assert found.feasible_share == 0


def test_a_scenario_that_the_surrogate_does_not_know_is_refused(scenario, space, tmp_path):
    larger = scenario(workload={"dataset": "shapes-32"})
    with pytest.raises(UsageError, match="dataset shapes-32"):
        optimum.known(larger, space, tmp_path)


def test_two_programs_may_find_one_optimum_at_the_same_time(scenario, space, tmp_path, monkeypatch):
    monkeypatch.setattr(optimum, "SAMPLE", 300)
    monkeypatch.setattr(optimum, "AGREEING", 1)

    def taken(file, text):
        raise FileNotFoundError(2, "No such file or directory", str(file))

    monkeypatch.setattr(optimum, "write_whole", taken)
    assert optimum.known(scenario(), space, tmp_path).reward is not None


def test_a_known_optimum_is_read_back_and_the_verb_prints_it(
    scenario, space, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(optimum, "SAMPLE", 300)
    monkeypatch.setattr(optimum, "AGREEING", 1)
    problem = scenario()
    first = optimum.known(problem, space, tmp_path)
    (file,) = tmp_path.glob("*.json")
    file.write_text(file.read_text().replace('"searches":1', '"searches":77'))
    again = optimum.known(problem, space, tmp_path)
    assert again == first.model_copy(update={"searches": 77})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenario.yaml").write_text(dump(problem))
    (tmp_path / "space.yaml").write_text(dump(space))
    names = {"scenario": tmp_path / "scenario.yaml", "space": tmp_path / "space.yaml"}
    assert verb(**names, out=tmp_path / "best" / "known.json") == 0
    said = capsys.readouterr().out.splitlines()
    assert "1 of 1 independent searches" in said[0]
    assert json.loads(said[-1])["reward"] == first.reward
    kept = json.loads((tmp_path / "best" / "known.json").read_text())
    assert (kept["reward"], kept["scenario"]) == (first.reward, problem.digest)
