"""Objectives and limits: rewards of one and of many, words, normalisers, what keeps a limit."""

from types import SimpleNamespace

import numpy as np
import pytest

from cim_sim.scenario import (
    ACCURACY_MARGIN,
    OBJECTIVES,
    DelayObjective,
    EnergyObjective,
    LatencyObjective,
    Limits,
)

COSTS = SimpleNamespace(
    energy_pj=np.array([1e7, 4e7, 9e7, np.nan]), latency_ns=np.array([1e5, 2e5, 4e5, np.nan])
)


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_median_cost_term_is_what_was_asked_for(kind):
    objective = kind.with_median_term(COSTS, 0.25, lambda value: value)
    terms = np.abs(objective.reward(np.zeros(4), COSTS))
    assert np.nanmedian(terms) == pytest.approx(0.25)
    assert np.isnan(terms[3])


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_reward_of_many_is_that_of_each(kind):
    objective = kind.with_median_term(COSTS, 0.25, round)
    rewards = objective.reward(np.array([0.5, 0.6, 0.7, 0.8]), COSTS)
    for place, accuracy in enumerate((0.5, 0.6, 0.7)):
        own = {name: float(values[place]) for name, values in vars(COSTS).items()}
        assert objective.reward(accuracy, SimpleNamespace(**own)) == rewards[place]


def test_objectives_say_their_formula():
    energy = EnergyObjective(metric="energy", normaliser_pj=8e7)
    assert energy.words() == "accuracy - sqrt(energy / 80 uJ)"
    latency = LatencyObjective(metric="latency", normaliser_fps=1600)
    assert latency.words() == "accuracy + (frames per second) / 1600"
    delay = DelayObjective(metric="energy-delay", normaliser_pj_ns=2e14)
    assert delay.words() == "accuracy - sqrt(energy x latency / 200 uJ ms)"


def test_energy_delay_takes_the_root_of_the_product():
    delay = DelayObjective(metric="energy-delay", normaliser_pj_ns=2e14)
    cost = SimpleNamespace(energy_pj=np.array([5e7]), latency_ns=np.array([1e6]))
    assert delay.reward(np.array([0.7]), cost)[0] == pytest.approx(0.7 - 0.5)
    fitted = DelayObjective.with_median_term(cost, 0.25, lambda value: value)
    assert fitted.normaliser_pj_ns == pytest.approx(5e13 / 0.25**2)


def test_what_lies_on_a_limit_keeps_it_and_no_limit_keeps_all():
    limits = Limits(area_um2=3e7, accuracy=0.3)
    areas = np.array([3e7, np.nextafter(3e7, 4e7), 4.5e7, np.nan])
    np.testing.assert_array_equal(limits.area_excess(areas) <= 0, [True, False, False, False])
    assert limits.area_excess(4.5e7) == pytest.approx(0.5)
    bar = limits.accuracy_bar
    accuracies = np.array([bar, np.nextafter(bar, 0), 0.1])
    np.testing.assert_array_equal(limits.accuracy_shortfall(accuracies) <= 0, [True, False, False])
    assert limits.accuracy_shortfall(0.1) == pytest.approx(0.2 + ACCURACY_MARGIN)
    assert Limits().area_excess(1e12) == -1
    assert Limits().accuracy_shortfall(0.0) == 0
