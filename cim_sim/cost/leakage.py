"""Leakage: idle tiles leak while another layer computes.

Source: DNN+NeuroSim V1.3. A layer's leakage energy is the time it takes times the tiles of all
other layers, every one at the leakage of this layer's kind of tile; global modules do not count.
"""

import numpy as np

from cim_sim.cost.hierarchy import Tile
from cim_sim.cost.latency import plain_inputs
from cim_sim.cost.layers import remainder
from cim_sim.cost.placement import Placement
from cim_sim.types import Bools, Floats


def tile_leakage_uw(place: Placement) -> Floats:
    """Leakage power of one tile as each layer counts it, [layers, designs]."""
    chip, trees = place.chip, place.chip.trees
    pe_tree = place.of_tile("pe_trees") * trees.at(trees.leak_uw, _pe_tree_inputs(place))
    tile_tree = trees.at(trees.leak_uw, _tile_tree_inputs(place), place.of_tile("pe_sum_bits"))
    fixed = place.pick(_fixed_uw(chip.novel), _fixed_uw(chip.plain))
    return place.of_tile("pes") * pe_tree + place.of_tile("tile_trees") * tile_tree + fixed


def _pe_tree_inputs(place: Placement) -> Floats:
    """Inputs up to which the trees of PEs leak: those of the PE with the layer's last rows."""
    _, rest = remainder(place.block_rows, place.pe)
    last = np.ceil(np.where(rest > 0, rest, place.pe) / place.chip.setting.size)
    return np.where(place.novel, last, _kept(last, ~place.novel & ~place.treeless))


def _tile_tree_inputs(place: Placement) -> Floats:
    """Inputs up to which the trees of tiles leak: those of the last tile that added anything."""
    full, rest = remainder(place.block_rows, place.tile)
    last = plain_inputs(place, np.where(rest > 0, rest, place.tile))
    last = np.where((last <= 1) & (full > 0), plain_inputs(place, place.tile), last)
    return place.pick(place.chip.novel.leaves, _kept(last, ~place.novel & (last > 1)))


def _kept(inputs: Floats, evaluated: Bools) -> Floats:
    """Replace inputs of trees that a layer does not evaluate by those evaluated before.

    NeuroSim runs the network twice, first to find the clock, so that the first layer finds what
    the last one left; a tree that is never evaluated does not leak.
    """
    count, kept = np.ones(inputs.shape[1]), inputs.copy()
    for _ in range(2):
        for layer, fresh in enumerate(evaluated):
            count = np.where(fresh, inputs[layer], count)
            kept[layer] = count
    return kept


def leakage_energy_pj(place: Placement, latency_ns: Floats) -> Floats:
    """Leakage energy of each layer, [layers, designs]; uW times ns is 1e-3 pJ."""
    others = place.chip.tiles - place.plan.tiles
    return others * latency_ns * tile_leakage_uw(place) * 1e-3


def _fixed_uw(tile: Tile) -> Floats:
    """Subarrays, banks and one core of each of a tile's buffers."""
    c = tile.setting.constants
    flops = (tile.input_flops + tile.output_flops) * c.dff_leak_uw
    pe = tile.arrays**2 * c.subarray_leak_uw + flops
    buffers = tile.input_buffer.core_leak_uw + tile.output_buffer.core_leak_uw
    return tile.pes * pe + buffers
