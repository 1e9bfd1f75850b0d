"""Circuit blocks against single numbers of NeuroSim's module dumps (default RRAM, 22 nm)."""

import numpy as np
import pytest

from cim_sim.config import UsageError
from cim_sim.cost.activity import digit_shares, relu_plane_shares
from cim_sim.cost.buffers import TileBuffer, bank_area_um2
from cim_sim.cost.constants import constants, table
from cim_sim.cost.interconnect import GLOBAL_FOLD, LOCAL_FOLD, HTree, global_bus_bits
from cim_sim.cost.layers import layers_of
from cim_sim.cost.setting import setting
from cim_sim.hardware import Hardware
from cim_sim.workload import CIFAR10

DEFAULT = setting(Hardware())
C = DEFAULT.constants


def one(value):
    return np.array([float(value)])


@pytest.mark.parametrize(
    ("inputs", "cycles", "energy_pj"),
    [(2, 2, 1.229594824), (3, 4, 1.229594824), (4, 4, 3.756841968), (64, 12, 81.34375122)],
)
def test_adder_trees_of_a_pe(inputs, cycles, energy_pj):
    trees = DEFAULT.trees(64)
    assert trees.at(trees.cycles, one(inputs)) == cycles
    assert 64 * trees.at(trees.energy_pj, one(inputs)) == pytest.approx(energy_pj, rel=1e-8)
    assert 64 * trees.at(trees.area_um2, one(4)) == pytest.approx(4894.331904)
    assert 64 * trees.at(trees.leak_uw, one(4)) == pytest.approx(0.4724544094)


@pytest.mark.parametrize(
    ("rows", "cols", "unit_um", "cycles", "energy_pj"),
    [
        (2, 2, 443.0885228, 1, 0.04314983703),
        (9, 9, 443.0885228, 6, 0.3883485333),
        (5, 5, 891.04577, 6, 0.3904821499),
        (5, 5, 1463.807366, 9, 0.6414829254),
        (4, 3, 2165.294099, 6, None),
        (5, 4, 2266.757742, 13, None),
    ],
)
def test_h_trees(rows, cols, unit_um, cycles, energy_pj):
    tree = HTree(DEFAULT, one(rows), one(cols), one(unit_um))
    assert tree.cycles == cycles
    if energy_pj is not None:
        assert tree.energy_pj_per_bit == pytest.approx(energy_pj, rel=1e-8)


def test_areas_of_h_trees_buffers_and_banks():
    local = HTree(DEFAULT, one(9), one(9), one(443.0885228))
    assert local.area_um2(one(1152), LOCAL_FOLD) == pytest.approx(343065.3652, rel=1e-8)
    chip = HTree(DEFAULT, one(5), one(5), one(1463.807366))
    assert chip.area_um2(one(1512), GLOBAL_FOLD) == pytest.approx(2473558.082, rel=1e-8)
    assert TileBuffer(C, one(2048), one(256)).cores == 2
    assert TileBuffer(C, one(640), one(40)).core_area_um2 == pytest.approx(804.0997888, rel=1e-5)
    bank = bank_area_um2(one(1024), one(4 * 265.6213267), C.dff_height_um, C.dff_width_um)
    assert bank == pytest.approx(2131.770519)
    assert global_bus_bits(one(12096)) == 1512
    assert global_bus_bits(one(2048)) == 2048


def test_a_setting_outside_the_table_lists_the_nearest():
    with pytest.raises(UsageError) as caught:
        constants(Hardware(node_nm=45, col_mux=16))
    message = str(caught.value)
    assert message.startswith(
        "no circuit constants for device rram, subarray 128, cell_bits 2, adc_levels 32, "
        "node_nm 45, col_mux 16; the nearest settings in the table are"
    )
    assert "device rram, subarray 128, cell_bits 2, adc_levels 32, node_nm 45, col_mux 8" in message
    assert len(message.splitlines()) == 4
    assert len(table()) == 420


def test_bit_statistics_are_those_of_the_distributions():
    draws = np.random.default_rng(0).normal(0, 0.35, 400_000)
    codes = np.minimum(np.floor(128 * np.maximum(draws, 0)), 127).astype(int)
    sampled = [(codes >> bit & 1).mean() for bit in range(6, -1, -1)]
    np.testing.assert_allclose(relu_plane_shares(), sampled, atol=2e-3)
    weights = np.clip(np.random.default_rng(1).normal(0, 0.30, 400_000), -1, 127 / 128)
    codes = np.rint(128 * weights + 128).astype(int)
    for cell_bits in (1, 2, 4):
        shares = digit_shares(cell_bits)
        assert shares.shape == (8 // cell_bits, 2**cell_bits)
        top = np.bincount(codes >> (8 - cell_bits), minlength=2**cell_bits) / len(codes)
        np.testing.assert_allclose(shares[0], top, atol=3e-3)
        np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_coverage_is_the_mean_share_of_a_window_on_the_map():
    channels, kernels = np.array([[8] * 6]), np.array([[1, 3, 5, 7, 7, 5]])
    layers = layers_of(CIFAR10.stack_of(channels, kernels), Hardware())
    for layer in range(6):
        side, kernel = int(layers.side[layer, 0]), int(layers.kernel[layer, 0])
        inside = np.zeros(side + 2 * (kernel // 2))
        inside[kernel // 2 : kernel // 2 + side] = 1
        windows = [inside[at : at + kernel].mean() for at in range(side)]
        assert layers.coverage[layer, 0] == pytest.approx(np.mean(windows) ** 2)
    stock = layers_of(CIFAR10.stack_of(channels, kernels), Hardware(pad="stock"))
    assert stock.vectors[:, 0].tolist() == [1024, 900, 144, 100, 4, 16, 1, 1]
    assert (stock.coverage == 1).all()
