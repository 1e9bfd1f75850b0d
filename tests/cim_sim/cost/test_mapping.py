"""Floorplans of known designs, and why some have none."""

import numpy as np
import pytest

from cim_sim.cost import evaluate, floorplan_fault
from cim_sim.cost.layers import layers_of
from cim_sim.cost.mapping import floorplan
from cim_sim.hardware import Hardware
from cim_sim.workload import CIFAR10, Stack


def plan(channels, kernels, **setting):
    hardware = Hardware(**setting)
    stack = CIFAR10.stack_of(np.array([channels]), np.array([kernels]))
    return floorplan(layers_of(stack, hardware), hardware)


def stack_of(channels, kernels):
    return CIFAR10.stack_of(np.array([channels]), np.array([kernels]))


def test_layers_with_the_most_frequent_kernel_and_enough_rows_are_novel():
    found = plan([64, 64, 128, 128, 256, 256], [3, 3, 5, 3, 3, 7])
    assert found.novel[:, 0].tolist() == [False, True, False, True, True, False, False, False]
    assert found.frequent_kernel[0] == 3
    assert found.positions[0] == 9


def test_ties_go_to_the_earliest_kernel_and_1x1_does_not_count():
    assert plan([64] * 6, [1, 5, 3, 3, 5, 1]).frequent_kernel[0] == 5
    only_1x1 = plan([128] * 6, [1] * 6)
    assert only_1x1.frequent_kernel[0] == 1
    assert only_1x1.novel[:, 0].tolist() == [False] + [True] * 7


def test_the_floorplan_of_neurosims_example_network():
    found = plan([64, 64, 128, 128, 256, 256], [3] * 6)
    sides = found.tile[0], found.pe[0], found.novel_pe[0]
    assert sides == (1024, 512, 512)
    assert found.tiles[:, 0].tolist() == [1, 1, 1, 1, 2, 2, 16, 1]
    assert found.copies[:, 0].tolist() == [32, 8, 4, 4, 4, 2, 1, 8]


@pytest.mark.parametrize(
    ("setting", "narrow", "wide"),
    [
        ({"subarray": 64}, 16, 17),
        ({"subarray": 128}, 32, 33),
        ({"subarray": 256}, 64, 65),
        ({"subarray": 128, "cell_bits": 4}, 64, 65),
        ({"subarray": 128, "cell_bits": 1}, 16, 17),
    ],
)
def test_novel_mapping_needs_two_subarrays_of_columns(setting, narrow, wide):
    assert not plan([narrow] * 6, [5] * 6, **setting).feasible[0]
    assert plan([narrow] * 5 + [wide], [5] * 6, **setting).feasible[0]
    assert plan([narrow] * 6, [5] * 6, mapping="conventional", **setting).feasible[0]


def test_the_fault_names_the_layer_and_a_cure_that_works():
    hardware, stack = Hardware(), stack_of([16, 24, 32, 16, 16, 16], [3] * 6)
    (fault,) = floorplan_fault(stack, hardware)
    assert fault == (
        "layer 3, the widest of those mapped by kernel position (kernel 3), has 32 channels = 128 "
        "columns rounded up to 2^n, below the 256 (2 subarrays of 128) of a PE; give it 33 or more "
        "channels, or take a smaller subarray, fewer cell bits or mapping conventional"
    )
    assert floorplan_fault(stack_of([16, 24, 33, 16, 16, 16], [3] * 6), hardware) == [None]
    for cure in (Hardware(subarray=64), Hardware(cell_bits=1), Hardware(mapping="conventional")):
        assert floorplan_fault(stack, cure) == [None]


def test_other_faults_say_what_fails():
    stack = stack_of([4] * 6, [7, 3, 3, 3, 3, 3])
    (fault,) = floorplan_fault(stack, Hardware(subarray=256))
    assert fault is not None
    assert fault.startswith("no layer can be mapped by kernel position: none with kernel 3")
    narrow = Stack(*(np.array([[value]]) for value in (8, 16, 3, 10, 0)))
    (fault,) = floorplan_fault(narrow, Hardware(mapping="conventional"))
    assert fault is not None
    assert fault.startswith("the widest layer takes 64 columns, below the 512 (4 subarrays of 128)")
    large = Stack(*(np.array([[value]]) for value in (4, 16, 7, 200, 0)))
    (fault,) = floorplan_fault(large, Hardware(mapping="conventional", pad="stock"))
    assert fault is not None
    assert "kernel 7 is larger than its 4x4 map" in fault
    assert not evaluate(large, Hardware(mapping="conventional", pad="stock")).feasible[0]
