"""Normalisers: no design below infeasible, both terms of one size, areas as the shares say."""

import numpy as np
import pytest

from cim_sim.config import load
from cim_sim.hardware import FixedHardware
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from cim_sim.variation import Variation
from cim_sim.workload import CIFAR10, Workload
from search import landscape
from search.study.normalisers import round_up, typical_costs

SPACES = {
    name: load(f"configs/spaces/{name}.yaml", Space) for name in ("embedded", "lcda", "codesign")
}
PAPER_HARDWARE = FixedHardware(subarray=128, cell_bits=2, adc_levels=32, mapping="novel")


@pytest.mark.parametrize(
    ("name", "normaliser_pj", "normaliser_fps", "median_term"),
    [
        ("embedded", 4.6e7, 13_000, 0.31),
        ("lcda", 2.5e9, 1600, 0.23),
        ("codesign", 3.5e7, 11_000, 0.28),
    ],
)
def test_normalisers_keep_every_design_above_infeasible_and_the_two_terms_of_one_size(
    name, normaliser_pj, normaliser_fps, median_term
):
    space = SPACES[name]
    hardware = PAPER_HARDWARE.model_copy(update=dict.fromkeys(space.freed))
    workload = CIFAR10 if name == "lcda" else Workload()
    known = typical_costs(space, hardware, workload)
    energy, latency, _ = known.objectives
    assert (energy.normaliser_pj, latency.normaliser_fps) == (normaliser_pj, normaliser_fps)
    population = landscape.draw(space, 20_000, np.random.default_rng(1))
    sizes = np.array([len(parameter.choices) for parameter in space.parameters])
    population[0] = sizes - 1
    variation, objective = Variation(sigma=0.0), known.objectives[0]
    scenario = Scenario(
        name="x",
        workload=workload,
        hardware=hardware,
        variation=variation,
        objective=objective,
    )
    price = landscape.prices(scenario, space, population)
    energy_term = np.sqrt(price.energy_pj[price.allowed] / normaliser_pj)
    latency_term = 1e9 / price.latency_ns[price.allowed] / normaliser_fps
    assert energy_term.max() < 1
    assert np.median(energy_term) == pytest.approx(median_term, abs=0.02)
    assert np.median(latency_term) == pytest.approx(median_term, abs=0.02)


def test_an_area_limit_leaves_about_the_share_it_is_for():
    space = SPACES["embedded"]
    known = typical_costs(space, PAPER_HARDWARE, Workload())
    share = (known.areas_um2 <= known.area_limit(0.2)).mean()
    assert share == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize(
    ("value", "digits", "rounded"), [(1234.0, 2, 1300.0), (2e8, 2, 2e8), (0.0312, 1, 0.04)]
)
def test_rounding_up(value, digits, rounded):
    assert round_up(value, digits) == rounded
