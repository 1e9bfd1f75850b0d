"""Whose ground a task lies on, against the family, which was drawn by the same cut."""

import pytest

from cim_sim.config import load
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from search.record.tasks import Task
from search.study.cut import TESTS
from search.study.family import tasks
from search.study.ground import ground_of


@pytest.mark.parametrize("split", TESTS)
def test_every_task_of_a_test_split_is_for_tests(split):
    assert {ground_of(task) for task in tasks(split, 6)} == {"test"}


def test_training_and_validation_keep_their_own():
    assert {ground_of(task) for task in tasks("train", 24)} == {"train"}
    assert {ground_of(task) for task in tasks("train", 6, bench_sigmas=True)} == {"train"}
    assert {ground_of(task) for task in tasks("validation", 12)} == {"validation"}


def test_a_name_changes_nothing():
    (task,) = tasks("near", 1)
    renamed = task.scenario.model_copy(update={"name": "train-0000"})
    assert ground_of(task.model_copy(update={"scenario": renamed})) == "test"


def test_the_platform_of_the_paper_is_for_tests():
    scenario = load("configs/scenarios/paper-energy.yaml", Scenario)
    space = load("configs/spaces/lcda.yaml", Space)
    assert ground_of(Task(scenario=scenario, space=space)) == "test"


TRAINING = {
    "name": "mine",
    "hardware": {"subarray": 128, "cell_bits": 1, "mapping": "conventional"},
    "variation": {"sigma": 0.1},
    "objective": {"metric": "energy"},
}


@pytest.fixture
def mine():
    """A scenario on a training platform, with changes; one thing at a time is another's."""
    platform = tasks("train", 1)[0].scenario.hardware.model_dump(
        include={"device", "node_nm", "adc_levels"}
    )

    def make(*, hardware=(), space=(), **changes):
        embedded = load("configs/spaces/embedded.yaml", Space).model_dump()
        fields = {**TRAINING["hardware"], **platform, **dict(hardware)}
        scenario = {**TRAINING, **changes, "hardware": fields}
        return Task.model_validate({"space": {**embedded, **dict(space)}, "scenario": scenario})

    return make


@pytest.mark.parametrize(
    ("changes", "ground"),
    [
        ({}, "train"),
        ({"variation": {"sigma": 0.115}}, "validation"),
        ({"variation": {"sigma": 0.06}}, "test"),
        ({"hardware": {"mapping": "novel"}}, "test"),
        ({"objective": {"metric": "energy-delay"}}, "test"),
        ({"workload": {"dataset": "digits"}}, "test"),
        ({"space": {"channels": (24, 36)}}, "test"),
        ({"space": {"width_divisor": 8}}, "test"),
        ({"hardware": {"adc_levels": None}, "space": {"hardware": {"adc_levels": (16, 32)}}}, None),
    ],
)
def test_one_thing_that_no_training_task_has_is_enough(mine, changes, ground):
    task = mine(**changes)
    if ground is None:  # freed levels: as strict as the strictest of the platforms
        fixed = [mine(hardware={"adc_levels": levels}) for levels in (16, 32)]
        strict = ("train", "validation", "test")
        ground = max(map(ground_of, fixed), key=strict.index)
    assert ground_of(task) == ground
