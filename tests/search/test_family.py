import numpy as np
import pytest

from cim_sim.config import UsageError, load
from cim_sim.hardware import FixedHardware
from cim_sim.scenario import Limits
from cim_sim.space import HardwareChoices, Space
from cim_sim.variation import effective_sigma
from search import landscape
from search.study.family import (
    BENCH_SIGMAS,
    PAPER,
    SIGMA_BANDS,
    Platform,
    platforms,
    scenarios,
    sigmas,
)
from search.study.normalisers import round_up, scales

SPACES = {
    name: load(f"configs/spaces/{name}.yaml", Space) for name in ("embedded", "lcda", "codesign")
}
PAPER_HARDWARE = FixedHardware(subarray=128, cell_bits=2, adc_levels=32, mapping="novel")


def platform(scenario):
    hardware = scenario.hardware
    return Platform(hardware.device, hardware.adc_levels, hardware.node_nm)


def cell_or_weight_sigma(scenario):
    return scenario.variation.sigma or scenario.variation.cell_sigma


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
def test_scenarios_fit_their_space_and_keep_to_their_side_of_the_split(space):
    parts = {part: scenarios(part, 6, space) for part in ("train", "validation", "test")}
    for part, members in parts.items():
        for scenario in members:
            scenario.require_fits(space)
            assert platforms()[platform(scenario)] == part
            assert scenario.hardware.pad == "same"
    for held in ("validation", "test"):
        seen = {platform(scenario) for scenario in parts["train"]}
        assert not seen & {platform(scenario) for scenario in parts[held]}
        levels = {cell_or_weight_sigma(scenario) for scenario in parts["train"]}
        assert not levels & {cell_or_weight_sigma(scenario) for scenario in parts[held]}


def test_the_split_holds_out_two_platforms_of_each_device_for_each_part_and_the_papers_for_test():
    assert platforms()[PAPER] == "test"
    for device in ("rram", "fefet", "sram"):
        own = [part for one, part in platforms().items() if one.device == device]
        assert [own.count(part) for part in ("train", "validation", "test")] == [8, 2, 2]
    levels = {part: set(sigmas(part)) for part in ("train", "validation", "test")}
    assert set(BENCH_SIGMAS) <= levels["train"]
    assert sum(len(one) for one in levels.values()) == len(set.union(*levels.values())) == 181


def test_a_longer_list_begins_with_the_shorter_one_and_digits_mirrors_test():
    space = SPACES["embedded"]
    assert scenarios("train", 6, space)[:3] == scenarios("train", 3, space)
    for test, digits in zip(
        scenarios("test", 6, space), scenarios("digits", 6, space), strict=True
    ):
        assert digits.workload.dataset == "digits"
        assert (digits.hardware, digits.variation) == (test.hardware, test.variation)
        assert digits.limits.area_um2 == test.limits.area_um2


def test_latency_always_has_a_least_accuracy_and_both_objectives_appear():
    members = scenarios("validation", 8, SPACES["embedded"])
    assert {scenario.objective.metric for scenario in members} == {"energy", "latency"}
    latency = [scenario for scenario in members if scenario.objective.metric == "latency"]
    assert all(0.1 < scenario.limits.accuracy < 1 for scenario in latency)
    areas = [scenario.limits.area_um2 for scenario in scenarios("train", 12, SPACES["embedded"])]
    assert None in areas
    assert len(set(areas)) > 4


def test_bench_sigmas_are_for_training():
    space = SPACES["embedded"]
    members = scenarios("train", 8, space, bench_sigmas=True)
    assert {scenario.variation.sigma for scenario in members} <= set(BENCH_SIGMAS)
    with pytest.raises(UsageError, match="bench_sigmas is for the split train"):
        scenarios("test", 1, space, bench_sigmas=True)


def test_free_cell_bits_act_through_the_cells_variation():
    scenario = scenarios("train", 1, SPACES["codesign"])[0]
    variation = scenario.variation
    assert variation.sigma is None
    assert variation.effective(1) < variation.effective(2) < variation.effective(4)


def test_a_space_that_frees_the_adc_gets_scenarios_that_leave_it_open():
    space = Space(
        name="adc", channels=(32, 64), kernels=(3,), hardware=HardwareChoices(adc_levels=(16, 32))
    )
    assert scenarios("train", 1, space)[0].hardware.adc_levels is None


@pytest.mark.parametrize(
    ("name", "normaliser_pj", "normaliser_fps", "median_term"),
    [
        ("embedded", 2.0e8, 3600, 0.31),
        ("lcda", 2.5e9, 1600, 0.23),
        ("codesign", 1.5e8, 3200, 0.28),
    ],
)
def test_normalisers_keep_every_design_above_infeasible_and_the_two_terms_of_one_size(
    name, normaliser_pj, normaliser_fps, median_term
):
    space = SPACES[name]
    fixed = dict.fromkeys(space.freed)
    hardware = PAPER_HARDWARE.model_copy(update=fixed)
    known = scales(space, hardware)
    assert (known.normaliser_pj, known.normaliser_fps) == (normaliser_pj, normaliser_fps)
    population = landscape.draw(space, 20_000, np.random.default_rng(1))
    sizes = np.array([len(parameter.choices) for parameter in space.parameters])
    population[0] = sizes - 1
    scenario = scenarios("test", 1, space)[0]
    scenario = scenario.model_copy(update={"hardware": hardware, "limits": Limits()})
    price = landscape.prices(scenario, space, population)
    energy_term = np.sqrt(price.energy_pj[price.allowed] / known.normaliser_pj)
    latency_term = 1e9 / price.latency_ns[price.allowed] / known.normaliser_fps
    assert energy_term.max() < 1
    assert np.median(energy_term) == pytest.approx(median_term, abs=0.02)
    assert np.median(latency_term) == pytest.approx(median_term, abs=0.02)


def test_an_area_limit_leaves_about_the_share_it_is_for():
    space = SPACES["embedded"]
    known = scales(space, PAPER_HARDWARE)
    share = (known.area_um2 <= known.area_limit(0.2)).mean()
    assert share == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize(
    ("value", "digits", "rounded"), [(1234.0, 2, 1300.0), (2e8, 2, 2e8), (0.0312, 1, 0.04)]
)
def test_rounding_up(value, digits, rounded):
    assert round_up(value, digits) == rounded


def test_free_cell_bits_take_no_scenario_into_another_parts_band():
    space = SPACES["codesign"]
    assert "cell_bits" in space.freed
    for part in ("train", "validation", "test"):
        others = [band for name, bands in SIGMA_BANDS.items() if name != part for band in bands]
        for scenario in scenarios(part, 40, space):
            cell = scenario.variation.cell_sigma
            found = {round(1000 * effective_sigma(cell, bits)) for bits in (1, 2, 4)}
            assert not any(k in band for k in found for band in others)
