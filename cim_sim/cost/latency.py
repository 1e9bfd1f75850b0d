"""Cycles of every layer: synchronous, parallel read, layer by layer.

All delays are whole cycles of the 1 GHz design clock; `chip` multiplies them by the clock that
the subarray can keep. Source: DNN+NeuroSim V1.3; "Clock and latency" in `cim_sim/README.md`.
"""

import numpy as np

from cim_sim.cost.buffers import GLOBAL_CORE_WIDTH
from cim_sim.cost.layers import INPUT_BITS
from cim_sim.cost.placement import Placement
from cim_sim.types import Floats


def latency_cycles(place: Placement) -> Floats:
    """Cycles in the parts of `COMPONENTS`, [components, layers, designs]."""
    adc, pe_sums, pe_buffers = _pe_cycles(place)
    tile_buffers, tile_wires = _tile_transfer_cycles(place)
    global_buffer, global_wires = _global_transfer_cycles(place)
    accumulation = pe_sums + _tile_sum_cycles(place) + _chip_sum_cycles(place)
    buffers = pe_buffers + tile_buffers + global_buffer
    interconnect = tile_wires + global_wires
    relu = np.ceil(place.vectors * place.layers.out_channels / place.chip.units)
    other = relu + place.chip.setting.constants.pool_cycles * pool_operations(place)
    return np.stack([adc, accumulation, buffers, interconnect, other])


def _pe_cycles(place: Placement) -> tuple[Floats, Floats, Floats]:
    """ADC, accumulation and buffer cycles of the fullest PE, shared out among all copies."""
    chip, constants = place.chip, place.chip.setting.constants
    rows = np.minimum(place.pe, place.block_rows)
    columns = np.minimum(place.pe, place.layers.columns)
    height = np.ceil(rows / chip.setting.size)
    tree = chip.trees.at(chip.trees.cycles, height)
    sums = np.where(place.treeless, 0, place.vectors * chip.setting.merges * tree)
    # C copies of a matrix take one input vector each: the same work in 1 / C of the time. Banks
    # belong to PEs, so that copies inside one PE share its bank and gain nothing there.
    copies = place.plan.copies
    banks = bank_operations(place, rows, columns)
    outer = np.where(place.whole, place.across**2, copies)
    adc = place.bit_vectors * constants.adc_cycles / copies
    adders = (place.bit_vectors * constants.accumulation_cycles + sums) / copies
    return adc, adders, (banks[0] + banks[1]) / outer


def bank_operations(place: Placement, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Loads of a PE's input bank and of its output bank, whole ones only."""
    setting = place.chip.setting
    loads = np.floor(rows * place.bit_vectors / (INPUT_BITS * setting.size))
    weights = columns / setting.cells
    # One bit more than a subarray's sum, however many of them the PE adds (NeuroSim's rule).
    bits = weights * (setting.array_sum_bits + 1) * place.vectors
    return loads, np.floor(bits / place.of_tile("output_flops"))


def _tile_sum_cycles(place: Placement) -> Floats:
    """Adding the sums of PEs: all K*^2 positions, or the PEs that share a column."""
    trees = place.chip.trees
    inputs = place.pick(place.chip.novel.leaves, plain_inputs(place, tile_rows(place)))
    cycles = trees.at(trees.cycles, inputs, place.of_tile("pe_sum_bits"))
    return place.vectors * place.merges * cycles


def tile_rows(place: Placement) -> Floats:
    """Block rows of a layer's first tile, the fullest."""
    return np.minimum(place.tile, place.block_rows)


def plain_inputs(place: Placement, rows: Floats) -> Floats:
    """PEs whose sums a conventional tile with `rows` adds: all of a column unless duplicated."""
    used = np.where(place.plan.copies > 1, np.ceil(rows / place.pe), place.across)
    return np.where(place.whole, 1, used)


def _tile_transfer_cycles(place: Placement) -> tuple[Floats, Floats]:
    """Buffers and H-tree of the fullest tile; copies do not share this work."""
    plain = place.chip.plain
    into = place.tile_in_bits(tile_rows(place))
    out = place.tile_out_bits(np.minimum(place.tile, place.layers.columns))
    # Every bit is written to a buffer and read from it, hence twice. NeuroSim counts the cores of
    # conventional tiles for both kinds.
    buffers = 2 * into / _port_bits(place, "input_buffer", plain.input_buffer.cores)
    buffers = buffers + 2 * out / _port_bits(place, "output_buffer", plain.output_buffer.cores)
    return buffers, place.of_tile("htree.cycles") * (into + out) / place.of_tile("bus_bits")


def _port_bits(place: Placement, buffer: str, cores: Floats) -> Floats:
    """Bits per cycle of a tile's buffer: its cores side by side, as the bus has room for them."""
    width = place.of_tile(f"{buffer}.width")
    return np.asarray(width * np.minimum(cores, np.ceil(place.of_tile("bus_bits") / width)))


def _chip_sum_cycles(place: Placement) -> Floats:
    """Adding the sums of tiles that share a column."""
    chip = place.chip
    tree = chip.trees.at(chip.trees.cycles, place.plan.tile_rows, chip.extra_bits)
    # A unit takes the cycles of its tree for one column of one vector; all work side by side.
    return np.ceil(place.layers.columns * place.vectors / chip.units) * tree


def pool_operations(place: Placement) -> Floats:
    """Runs of all max-pool units, which take four outputs each."""
    windows = place.vectors / 4
    plain = np.ceil(windows / place.chip.pool_units)
    novel = np.ceil(windows / place.chip.novel.pe * place.kernel)
    return np.where(place.layers.pooled, place.pick(novel, plain), 0)


def _global_transfer_cycles(place: Placement) -> tuple[Floats, Floats]:
    """Global buffer and H-tree; a layer gets the buffer's ports by its share of the tiles."""
    chip = place.chip
    # What a layer reads and what it writes pass the same buffer and the same tree.
    bits = place.global_out_bits + place.global_in_bits
    lines = bits / GLOBAL_CORE_WIDTH
    ports = np.minimum(chip.cores, np.ceil(chip.bus_bits / GLOBAL_CORE_WIDTH))
    per_transfer = place.pick(chip.novel_htree.cycles, chip.plain_htree.cycles)
    return lines / ports * bus_share(place), per_transfer * np.ceil(bits / chip.bus_bits)


def bus_share(place: Placement) -> Floats:
    """Factor by which a layer waits for the global buffer: all tiles over its own, rounded up."""
    return np.ceil(place.chip.tiles / place.plan.tiles)
