"""Whole populations: what the evaluator says of single designs, caution, and the evolution."""

import numpy as np
import pytest

from cim_sim.accuracy.surrogate import model as surrogate
from search import landscape
from search.evaluators import build


def test_whole_populations_get_the_rewards_of_the_evaluator(config):
    wanted = config(evaluator="surrogate")
    population = landscape.draw(wanted.space, 40, np.random.default_rng(0))
    answers = landscape.predicted(wanted.scenario, wanted.space, surrogate.load())
    land = landscape.Landscape(wanted.scenario, wanted.space, answers)
    designs = [wanted.space.decode(row.tolist()) for row in population]
    singles = build(wanted.scenario, wanted.space, wanted).evaluate(designs)
    expected = [np.nan if one.reward is None else one.reward for one in singles]
    fitness = land.fitness(population)
    np.testing.assert_allclose(
        np.where(fitness > landscape.INFEASIBLE, fitness, np.nan), expected, rtol=1e-9
    )
    assert np.isnan(expected).any()
    assert not np.isnan(expected).all()


def test_free_hardware_acts_on_price_and_accuracy_in_populations_too(config):
    hardware = {"adc_levels": 32}
    data = config().scenario.model_dump(exclude_none=True)
    free = {**data, "hardware": hardware, "variation": {"cell_sigma": 0.05}}
    wanted = config(scenario=free, space="configs/spaces/codesign.yaml", evaluator="surrogate")
    population = landscape.draw(wanted.space, 30, np.random.default_rng(0))
    answers = landscape.predicted(wanted.scenario, wanted.space, surrogate.load())
    singles = build(wanted.scenario, wanted.space, wanted).evaluate(
        [wanted.space.decode(row.tolist()) for row in population]
    )
    price = landscape.prices(wanted.scenario, wanted.space, population)
    for row, one in enumerate(singles):
        assert price.allowed[row] == (one.infeasible is None)
        if one.cost and one.accuracy:
            assert price.energy_pj[row] == pytest.approx(one.cost.energy_pj, rel=1e-9)
            assert answers(population[row : row + 1])[0] == pytest.approx(one.accuracy.mean)


def test_caution_lowers_each_accuracy_by_its_own_doubt_as_the_scenario_asks(config):
    data = config().scenario.model_dump(exclude_none=True)
    asked = {**data, "recipe": {"clip_rms": None}, "training_sigma": 0.1}
    wanted = config(scenario=asked, evaluator="surrogate")
    population = landscape.draw(wanted.space, 30, np.random.default_rng(0))
    careful = landscape.predicted(wanted.scenario, wanted.space, surrogate.load(), caution=2.0)
    designs = [wanted.space.decode(row.tolist()) for row in population]
    queries = [wanted.scenario.query(design, wanted.space, 0) for design in designs]
    mean, std = surrogate.load().predict(queries)
    np.testing.assert_allclose(careful(population), mean - 2 * std, rtol=1e-9)


def test_what_is_noisier_than_the_surrogate_knows_has_no_accuracy(config):
    data = config().scenario.model_dump(exclude_none=True)
    free = {**data, "hardware": {"adc_levels": 32}, "variation": {"cell_sigma": 0.12}}
    wanted = config(scenario=free, space="configs/spaces/codesign.yaml", evaluator="surrogate")
    population = landscape.draw(wanted.space, 30, np.random.default_rng(0))
    sigmas = landscape.sigmas(wanted.scenario, wanted.space, population)
    accuracy = landscape.predicted(wanted.scenario, wanted.space, surrogate.load())(population)
    assert {True, False} == set(sigmas > surrogate.LARGEST_SIGMA)
    np.testing.assert_array_equal(accuracy == 0, sigmas > surrogate.LARGEST_SIGMA)


def test_evolution_finds_what_chance_does_not_and_returns_all_that_it_saw(space):
    target = landscape.draw(space, 1, np.random.default_rng(5))[0]
    seen = []

    def fitness(population):
        seen.append(population)
        return -np.abs(population - target).sum(axis=1).astype(float)

    effort = landscape.Effort(start=100, rounds=20, children=60, parents=12)
    ranked = landscape.evolve(fitness, space, np.random.default_rng(0), effort)
    np.testing.assert_array_equal(ranked.population[0], target)
    assert ranked.fitness[0] == 0 > fitness(seen[0]).max()
    assert (np.diff(ranked.fitness) <= 0).all()
    different = np.unique(np.vstack(seen), axis=0)
    assert len(seen[1]) == effort.children
    np.testing.assert_array_equal(np.unique(ranked.population, axis=0), different)
