"""Leakage: idle tiles leak while another layer computes.

Source: DNN+NeuroSim V1.3. A layer's leakage energy is the time it takes times the tiles of all
other layers, every one at the leakage of this layer's kind of tile; global modules do not count.
"""

import numpy as np

from cim_sim.cost.hierarchy import Tile
from cim_sim.cost.layers import Floats
from cim_sim.cost.placement import Placement


def tile_leakage_uw(place: Placement) -> Floats:
    """Leakage power of one tile as each layer counts it, [layers, designs].

    A tree leaks only as far as the layer's inputs reach into it.
    """
    chip = place.chip
    rows = np.minimum(place.pe, place.block_rows)
    inputs = np.where(place.treeless, 1, np.ceil(rows / chip.setting.size))
    tree = place.of_tile("pe_trees") * chip.trees.at(chip.trees.leak_uw, inputs)
    return place.of_tile("pes") * tree + place.pick(_fixed_uw(chip.novel), _fixed_uw(chip.plain))


def leakage_energy_pj(place: Placement, latency_ns: Floats) -> Floats:
    """Leakage energy of each layer, [layers, designs]; uW times ns is 1e-3 pJ."""
    others = place.chip.tiles - place.plan.tiles
    return others * latency_ns * tile_leakage_uw(place) * 1e-3


def _fixed_uw(tile: Tile) -> Floats:
    """Subarrays, banks, the tile's tree and one core of each of its buffers."""
    c = tile.setting.constants
    flops = (tile.input_flops + tile.output_flops) * c.dff_leak_uw
    pe = tile.arrays**2 * c.subarray_leak_uw + flops
    tree = tile.tile_trees * tile.trees.at(tile.trees.leak_uw, tile.leaves, tile.pe_sum_bits)
    buffers = tile.input_buffer.core_leak_uw(c) + tile.output_buffer.core_leak_uw(c)
    return tile.pes * pe + tree + buffers
