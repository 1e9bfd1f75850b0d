import pandas as pd
import pytest

from cim_sim.config import UsageError, load
from cim_sim.space import HardwareChoices, Space
from cim_sim.variation import effective_sigma
from search.study.family import (
    BENCH_SIGMAS,
    PAPER,
    SIGMA_BANDS,
    Platform,
    platforms,
    scenarios,
    sigmas,
)

SPACES = {
    name: load(f"configs/spaces/{name}.yaml", Space) for name in ("embedded", "lcda", "codesign")
}


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
        assert (digits.limits.area_um2 is None) == (test.limits.area_um2 is None)


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


def test_free_cell_bits_take_no_scenario_into_another_parts_band():
    space = SPACES["codesign"]
    assert "cell_bits" in space.freed
    for part in ("train", "validation", "test"):
        others = [band for name, bands in SIGMA_BANDS.items() if name != part for band in bands]
        for scenario in scenarios(part, 40, space):
            cell = scenario.variation.cell_sigma
            found = {round(1000 * effective_sigma(cell, bits)) for bits in (1, 2, 4)}
            assert not any(k in band for k in found for band in others)


def test_the_benchmark_table_was_trained_on_training_ground():
    rows = pd.read_parquet("datasets/accuracy-bench/trainings.parquet")
    listed = rows[~rows["origin"].str.startswith("found")]["training_sigma"]
    assert set(listed) == {0.0, *BENCH_SIGMAS}
    held_out = {k / 1000 for bands in SIGMA_BANDS.values() for band in bands for k in band}
    assert not rows["training_sigma"].round(3).isin(held_out).any()
