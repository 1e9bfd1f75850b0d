"""The family: where training ends, and what each split has that training has not."""

from typing import get_args

import pytest

from cim_sim.config import UsageError, load
from cim_sim.hardware import cell_bits_of
from cim_sim.space import HardwareChoices, Space
from cim_sim.variation import effective_sigma
from search.study import spaces
from search.study.cut import (
    BENCH_SIGMAS,
    HELD_CELLS,
    PAPER,
    SIGMA_BANDS,
    TESTS,
    Platform,
    Split,
    cells,
    part_of,
    platforms,
    sigmas,
)
from search.study.family import ACCURACY_SHARES, AREA_SHARES, CHANCE, TYPICAL_ACCURACY, tasks

FEW = 6
KINDS = get_args(Split)
EMBEDDED = load("configs/spaces/embedded.yaml", Space)


@pytest.fixture(scope="module")
def family():
    return {split: tasks(split, FEW) for split in KINDS}


def platform(task):
    hardware = task.scenario.hardware
    return Platform(hardware.device, hardware.adc_levels, hardware.node_nm)


def thousandths(task):
    """Every effective sigma that a design of a task may meet."""
    options = task.space.hardware.cell_bits or (task.scenario.hardware.cell_bits,)
    return {round(1000 * task.scenario.variation.effective(bits)) for bits in options}


def held_out(part):
    return {
        k for name, bands in SIGMA_BANDS.items() if name != part for band in bands for k in band
    }


@pytest.mark.parametrize("split", KINDS)
def test_tasks_fit_their_space_and_keep_to_their_side_of_the_cut(family, split):
    part = part_of(split)
    for task in family[split]:
        task.scenario.require_fits(task.space)
        assert task.scenario.hardware.pad == "same"
        assert task.name.startswith(split)
        assert platforms()[platform(task)] == part
        assert not thousandths(task) & held_out(part)
        assert task.told == (split != "blind")
    assert len({task.scenario.digest for task in family[split]}) == FEW


@pytest.mark.parametrize("split", ["train", "validation", "near", "digits", "blind", "objective"])
def test_held_cells_are_neither_fixed_nor_free_but_in_hardware_and_space(family, split):
    for task in family[split]:
        assert not cells(task.space, task.scenario.hardware) & HELD_CELLS
    for task in family["hardware"]:
        assert cells(task.space, task.scenario.hardware) <= HELD_CELLS
    freed = [task for task in family["space"] if task.space.freed]
    assert all(cells(task.space, task.scenario.hardware) & HELD_CELLS for task in freed)


def test_no_training_space_has_the_choices_of_an_unseen_one(family):
    trained = {task.space.name for task in tasks("train", 40)}
    unseen = [task.space for task in family["space"]]
    assert {space.name for space in unseen[:2]} == {"lcda", "codesign"}
    assert not trained & {space.name for space in unseen}
    for space in unseen:
        beyond = not set(space.channels) <= set(EMBEDDED.channels)
        assert beyond or space.hardware == spaces.CODESIGN.hardware


@pytest.mark.parametrize("split", KINDS)
def test_every_space_lies_in_what_the_accuracy_table_covers(family, split):
    for task in family[split]:
        proxies = [channels // task.space.width_divisor for channels in task.space.channels]
        assert 2 <= min(proxies) <= max(proxies) <= 32
        assert set(task.space.kernels) <= {1, 3, 5, 7}
        assert task.space.layers == 6


@pytest.mark.parametrize("name", ["embedded", "lcda", "codesign"])
def test_the_spaces_of_the_family_are_the_committed_ones(name):
    committed = load(f"configs/spaces/{name}.yaml", Space)
    drawn = {"embedded": spaces.EMBEDDED, "lcda": spaces.WIDE, "codesign": spaces.CODESIGN}[name]
    assert drawn == committed


def test_two_platforms_of_each_device_are_for_each_part_and_the_papers_for_the_tests():
    assert platforms()[PAPER] == "near"
    for device in ("rram", "fefet", "sram"):
        own = [part for one, part in platforms().items() if one.device == device]
        assert [own.count(part) for part in ("train", "validation", "near")] == [8, 2, 2]
    levels = {part: set(sigmas(part)) for part in ("train", "validation", "near")}
    assert set(BENCH_SIGMAS) <= levels["train"]
    assert sum(len(one) for one in levels.values()) == len(set.union(*levels.values())) == 181


def test_a_longer_list_begins_with_the_shorter_one_and_digits_mirrors_near(family):
    assert tasks("train", 3) == family["train"][:3]
    assert tasks("train", 2, first=2) == family["train"][2:4]
    for near, digits in zip(family["near"], family["digits"], strict=True):
        assert digits.scenario.workload.dataset == "digits"
        assert digits.space == near.space
        assert digits.scenario.hardware == near.scenario.hardware
        assert digits.scenario.variation == near.scenario.variation


def test_a_least_accuracy_of_digits_can_be_reached():
    for task in tasks("digits", 12):
        assert task.scenario.limits.accuracy_bar < 1


def test_blind_tasks_are_others_than_those_of_near_and_free_nothing(family):
    near = {task.scenario.digest for task in family["near"]}
    assert not near & {task.scenario.digest for task in family["blind"]}
    assert not any(task.space.freed for task in family["blind"])
    free = EMBEDDED.model_copy(update={"hardware": HardwareChoices(cell_bits=(1, 2))})
    with pytest.raises(UsageError, match="a blind task frees no hardware"):
        tasks("blind", 1, space=free)


def test_objectives_take_turns_and_energy_delay_is_for_its_own_split(family):
    for split in KINDS:
        metrics = {task.scenario.objective.metric for task in family[split]}
        assert metrics == ({"energy-delay"} if split == "objective" else {"energy", "latency"})
    for split in ("train", "near"):
        latency = [t.scenario for t in family[split] if t.scenario.objective.metric == "latency"]
        assert all(0 < scenario.limits.accuracy < 1 for scenario in latency)


def share_of_typical(task):
    sigma = task.scenario.variation.effective(4)
    table = dict(TYPICAL_ACCURACY["shapes"])
    near = min(table, key=lambda level: abs(level - sigma))
    return (task.scenario.limits.accuracy_bar - CHANCE) / (table[near] - CHANCE)


def test_tight_limits_lie_beyond_the_trained_ones(family):
    beyond = [share_of_typical(task) for task in family["tight"] if task.scenario.limits.accuracy]
    trained = [
        share_of_typical(task) for task in tasks("train", 30) if task.scenario.limits.accuracy
    ]
    assert max(beyond) > max(ACCURACY_SHARES) + 0.05
    assert max(trained) < max(ACCURACY_SHARES) + 0.1
    assert min(AREA_SHARES) == 0.05


def test_bench_sigmas_are_for_training():
    members = tasks("train", 8, bench_sigmas=True)
    assert {task.scenario.variation.sigma for task in members} <= set(BENCH_SIGMAS)
    assert {task.space.name for task in members} == {"embedded"}
    with pytest.raises(UsageError, match="bench_sigmas is for the split train"):
        tasks("near", 1, bench_sigmas=True)


def test_a_space_of_ones_own_is_taken_and_refused_where_it_frees_held_cells():
    adc = Space(
        name="adc", channels=(32, 64), kernels=(3,), hardware=HardwareChoices(adc_levels=(16, 32))
    )
    (task,) = tasks("train", 1, space=adc)
    assert (task.space, task.scenario.hardware.adc_levels) == (adc, None)
    with pytest.raises(UsageError, match=r"codesign cannot be had in split train: .*novel 256x256"):
        tasks("train", 1, space=spaces.CODESIGN)
    assert tasks("space", 1, space=spaces.CODESIGN)[0].space == spaces.CODESIGN


def test_a_space_that_no_platform_can_build_ends_in_a_word(monkeypatch):
    monkeypatch.setattr("search.study.family.MOST_TRIED", 3)
    narrow = Space(name="narrow", channels=(4, 8), kernels=(1,))
    with pytest.raises(UsageError, match="of 3 platforms of the split hardware none gives 5% of"):
        tasks("hardware", 1, space=narrow)
    short = Space(name="short", channels=(32, 64), kernels=(3,), layers=4)
    with pytest.raises(UsageError, match=r"pools_after \[2, 4, 6\] names more than 4 layers"):
        tasks("train", 1, space=short)


def test_free_cell_bits_act_through_the_cells_variation():
    space = EMBEDDED.model_copy(update={"hardware": HardwareChoices(cell_bits=(1, 2, 4))})
    for task in tasks("train", 10, space=space):
        variation = task.scenario.variation
        assert variation.sigma is None
        assert len(cell_bits_of(task.scenario.hardware.device)) > 1
        found = {round(1000 * effective_sigma(variation.cell_sigma, bits)) for bits in (1, 2, 4)}
        assert not found & held_out("train")


def test_the_tests_are_all_but_training_and_validation():
    assert set(TESTS) == set(KINDS) - {"train", "validation"}
