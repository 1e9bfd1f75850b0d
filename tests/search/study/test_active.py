"""Active rounds: favourites of the surrogate, asked as the scenario asks, in training parts."""

import json

import numpy as np
import pytest

from cim_sim.accuracy.bench import table as bench
from cim_sim.accuracy.bench.jobs import LEVELS
from cim_sim.accuracy.query import Adc
from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.config import UsageError, load
from cim_sim.space import Space
from search.commands.challenge import challenge
from search.landscape import INFEASIBLE, Effort, Landscape, draw, predicted
from search.study import active
from search.study.cut import SIGMA_BANDS, Platform, platforms
from search.study.family import tasks

EMBEDDED = load("configs/spaces/embedded.yaml", Space)
HELD_OUT = {level for bands in SIGMA_BANDS.values() for band in bands for level in band}


def in_thousandths(sigmas):
    return {round(1000 * sigma) for sigma in sigmas}


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(active, "EFFORT", Effort(start=40, rounds=2, children=20, parents=10))


def test_a_round_is_the_same_each_time_named_and_of_different_networks(quick):
    jobs = active.round_jobs(surrogate.load(), 2, 4)
    assert jobs == active.round_jobs(surrogate.load(), 2, 4)
    assert len({job.key for job in jobs}) == 4
    assert {job.origin for job in jobs} == {"found 2"}
    others = active.round_jobs(surrogate.load(), 3, 2)
    assert not {job.key for job in jobs} & {job.key for job in others}


def test_a_round_keeps_to_the_platforms_and_sigmas_of_training(quick, monkeypatch):
    drawn = []

    def noted(*options, **more):
        drawn.extend(tasks(*options, **more))
        return tasks(*options, **more)

    monkeypatch.setattr(active, "tasks", noted)
    jobs = active.round_jobs(surrogate.load(), 1, 12)
    hardware = [task.scenario.hardware for task in drawn]
    places = [Platform(chip.device, chip.adc_levels, chip.node_nm) for chip in hardware]
    assert len(set(places)) > 3
    assert {platforms()[place] for place in places} == {"train"}
    for job in jobs:
        sigmas = [query.sigma for query in job.queries]
        assert job.queries[0].training_sigma == sigmas[0]
        assert set(sigmas[1:]) < set(LEVELS)
        assert not in_thousandths([*sigmas, job.queries[0].training_sigma]) & HELD_OUT


def test_a_favourite_is_feasible_beats_random_designs_and_is_asked_as_the_scenario_asks():
    space, model = EMBEDDED, surrogate.load()
    (plain,) = (task.scenario for task in tasks("train", 1, first=7, space=space))
    recipe = plain.recipe.model_copy(update={"clip_rms": None})
    chip = plain.hardware.model_copy(update={"adc_levels": 32, "subarray": 128})
    scenario = plain.model_copy(update={"recipe": recipe, "hardware": chip})
    query = active.favourite(scenario, space, model, seed=0)
    assert query.recipe == recipe
    assert query.adc == Adc(levels=chip.adc_levels, rows=chip.subarray)
    pairs = [(4 * layer.channels, layer.kernel) for layer in query.layers]
    indices = [(space.channels.index(c), space.kernels.index(k)) for c, k in pairs]
    land = Landscape(scenario, space, predicted(scenario, space, model))
    (best,) = land.fitness(np.array(indices).reshape(1, -1))
    assert best > INFEASIBLE
    assert best >= land.fitness(draw(space, 500, np.random.default_rng(1))).max()


def test_nothing_feasible_has_no_favourite_and_a_foreign_space_is_refused(quick):
    space = EMBEDDED
    (scenario,) = (task.scenario for task in tasks("train", 1, space=space))
    limits = scenario.limits.model_copy(update={"area_um2": 1.0})
    tight = scenario.model_copy(update={"limits": limits})
    assert active.favourite(tight, space, surrogate.load(), seed=0) is None
    wide = space.model_copy(update={"width_divisor": 1, "channels": (48, 64)})
    with pytest.raises(UsageError, match="the accuracy surrogate knows shapes"):
        active.favourite(scenario, wide, surrogate.load(), seed=0)


@pytest.mark.slow
def test_the_verb_trains_a_round_once(quick, tmp_path, capsys):
    for trained in (1, 0):
        assert challenge(number=9, designs=1, out=tmp_path, workers=1) == 0
        record = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (record["trainings"], record["trained_now"]) == (1, trained)
    (line,) = bench.read(tmp_path / bench.LINES)
    assert line.origin == "found 9"
    assert len(line.tests) == 1 + active.OTHER_LEVELS
