"""Dynamic energy of every layer, pJ.

PEs come in four classes, full or partly filled along rows and along columns, so that an energy is
a sum of counts times classes. Source: DNN+NeuroSim V1.3; "Dynamic energy" in `cim_sim/README.md`.
"""

from typing import NamedTuple

import numpy as np

from cim_sim.cost.buffers import GLOBAL_CORE_WIDTH
from cim_sim.cost.latency import bank_operations, plain_inputs, pool_operations
from cim_sim.cost.layers import INPUT_BITS, in_order, remainder
from cim_sim.cost.placement import Placement
from cim_sim.cost.subarray import Reader
from cim_sim.types import Floats


class PeClasses(NamedTuple):
    """How often PEs of each class are counted, and what part of a PE the partial ones fill."""

    counts: Floats
    """[2, 2, layers, designs]: full or partly filled along rows; the same along columns."""
    part_rows: Floats
    """Rows of a PE that is partly filled along rows, 0 if there is none."""
    part_columns: Floats

    @property
    def by_rows(self) -> Floats:
        """PEs whose rows are full, and partly filled, [2, layers, designs]."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def by_columns(self) -> Floats:
        """PEs whose columns are full, and partly filled, [2, layers, designs]."""
        return np.asarray(self.counts.sum(axis=0))


def dynamic_energy_pj(place: Placement, planes: Floats) -> Floats:
    """Energy in the parts of `COMPONENTS`, [components, layers, designs].

    Args:
        place: layers on their tiles.
        planes: share of ones on each value plane of the inputs, [7, layers, designs].
    """
    classes = count_pes(place)
    adc, array_sums, array_other = _array_energy(place, classes, planes)
    sums = array_sums + _pe_sum_energy(place, classes) + _tile_sum_energy(place)
    buffers = _bank_energy(place, classes) + _tile_buffer_energy(place) + _global_buffer(place)
    interconnect = _pe_bus_energy(place, classes) + _tree_energy(place)
    other = array_other + _relu_energy(place) + _pool_energy(place)
    return np.stack([adc, sums + chip_sum_energy(place), buffers, interconnect, other])


def count_pes(place: Placement) -> PeClasses:
    """Count the PEs of each class over all tiles of a layer.

    In a conventional tile without duplication, PE slots that hold no weights count once more what
    the PE evaluated before them spent (NeuroSim's rule): along a row of PEs the last used one,
    and for rows of PEs without weights the last used one of all.
    """
    full_rows, part_rows = _pe_rows(place)
    full_cols, part_cols = remainder(place.layers.columns, place.pe)
    # A partial PE exists or not: 1 or 0, so that classes are products of counts along both sides.
    row_part, col_part = (part_rows > 0) * 1.0, (part_cols > 0) * 1.0
    positions = place.positions
    full_then_last, last_then_full, last_then_last = _recounted(place)
    last_row_full = last_then_full + last_then_last * (1 - col_part)
    last_row_part = last_then_last * col_part
    # Each slot without weights joins the class of the PE that is counted in its stead.
    full_full = positions * full_rows * full_cols
    full_full = full_full + full_then_last * (1 - col_part) + last_row_full * (1 - row_part)
    full_part = positions * full_rows * col_part
    full_part = full_part + full_then_last * col_part + last_row_part * (1 - row_part)
    part_full = positions * row_part * full_cols + last_row_full * row_part
    part_part = positions * row_part * col_part + last_row_part * row_part
    counts = np.array([[full_full, full_part], [part_full, part_part]])
    return PeClasses(counts, part_rows, part_cols)


def _pe_rows(place: Placement) -> tuple[Floats, Floats]:
    """Full PEs along rows and the rows of the partial one.

    Where every PE holds the whole matrix one PE is counted for each tile, up to its own side: in
    pipeline mode a matrix may be larger than that.
    """
    full, part = remainder(place.block_rows, place.pe)
    tiles, rest = remainder(place.block_rows, place.tile)
    single = place.whole & (place.inner_copies == 1)
    one_each = tiles + (rest >= place.pe)
    return np.where(single, one_each, full), np.where(single & (rest >= place.pe), 0, part)


def _recounted(place: Placement) -> tuple[Floats, Floats, Floats]:
    """PE slots without weights, by the used PE that is counted in their stead.

    A PE with full rows in the last used column, one in the last used row with full columns, and
    the last used one of all.
    """
    across = place.across
    # A novel tile has as many PEs as the kernel has positions: none of them is free.
    active = ~place.novel & (place.plan.copies == 1)
    row_tiles, row_rest = remainder(place.layers.rows, place.tile)
    col_tiles, col_rest = remainder(place.layers.columns, place.tile)
    used_rows, used_cols = np.ceil(row_rest / place.pe), np.ceil(col_rest / place.pe)
    free_rows = np.where(row_rest > 0, across - used_rows, 0) * active
    free_cols = np.where(col_rest > 0, across - used_cols, 0) * active
    corner = (row_rest > 0) & (col_rest > 0)
    full_then_last = free_cols * (row_tiles * across + corner * (used_rows - 1))
    last_then_full = free_rows * across * col_tiles
    return full_then_last, last_then_full, corner * (free_cols + free_rows * across)


def _array_energy(place: Placement, classes: PeClasses, planes: Floats) -> list[Floats]:
    """ADC, shift-add and other energy of all subarrays, themselves of four classes."""
    size = place.chip.setting.size
    reader = Reader(place.chip.setting, place.vectors, planes)
    per_side = place.pe / size
    row_full, row_left = remainder(classes.part_rows, size)
    col_full, col_left = remainder(classes.part_columns, size)
    row_part, col_part = row_left > 0, col_left > 0
    # A full PE has full subarrays alone; a partial one ends in partly filled ones. Counts and
    # energies in this order: full, partly filled in columns, in rows, in both.
    full = np.full_like(row_left, size)
    (full_full, full_part), (part_full, part_part) = classes.counts
    high = full_full * per_side + part_full * row_full
    wide = full_part * per_side + part_part * row_full
    # Rows of subarrays that are full: `high` in PEs that are full along columns, `wide` in others.
    counts = (
        high * per_side + wide * col_full,
        wide * col_part,
        row_part * (part_full * per_side + part_part * col_full),
        row_part * col_part * part_part,
    )
    energies = [*reader.energy(full, (full, col_left)), *reader.energy(row_left, (full, col_left))]
    by_component = zip(*energies, strict=True)
    return [
        in_order(count * energy for count, energy in zip(counts, of_classes, strict=True))
        for of_classes in by_component
    ]


def _pe_sum_energy(place: Placement, classes: PeClasses) -> Floats:
    """Adder trees of the PEs; where copies share a PE its tree is counted per subarray."""
    chip, size = place.chip, place.chip.setting.size
    table = chip.trees.energy_pj
    # A tree is as deep as the subarrays that it adds are many: fewer in a PE partly filled in rows.
    full, partial = classes.by_rows
    once = full * chip.trees.at(table, place.pe / size)
    once = once + partial * chip.trees.at(table, np.ceil(classes.part_rows / size))
    spent = np.where(place.inner_copies > 1, _shared_trees(place), once)
    # A tree serves the floor(M / c) weights that share an ADC in turn, for each of N input vectors.
    operations = place.vectors * chip.setting.merges * place.of_tile("pe_trees")
    # One subarray that holds the whole matrix leaves its PE nothing to add.
    return np.where(place.treeless, 0, operations * spent)


def _shared_trees(place: Placement) -> Floats:
    """Trees of PEs that hold several copies, one for each subarray of a copy, over all tiles."""
    trees, size = place.chip.trees, place.chip.setting.size
    tiles, rest = remainder(place.block_rows, place.tile)
    high, low = place.tile / size, np.ceil(rest / size)
    full = high * trees.at(trees.energy_pj, high)
    along = tiles * full + low * trees.at(trees.energy_pj, low)
    return np.asarray(along * np.ceil(np.minimum(place.layers.columns, place.pe) / size))


def _bank_energy(place: Placement, classes: PeClasses) -> Floats:
    """Flip-flop banks of the PEs."""
    loads, stores = bank_operations(place, place.pe, place.pe)
    part_loads, part_stores = bank_operations(place, classes.part_rows, classes.part_columns)
    loads = in_order(classes.by_rows * (loads, part_loads))
    stores = in_order(classes.by_columns * (stores, part_stores))
    flips = loads * INPUT_BITS * place.chip.setting.size + stores * place.of_tile("output_flops")
    return flips * place.chip.setting.constants.dff_pj


def _pe_bus_energy(place: Placement, classes: PeClasses) -> Floats:
    """Buses along and across the subarrays of a PE."""
    setting = place.chip.setting
    c, gaps = setting.constants, place.pe / setting.size - 1
    rows = in_order(classes.by_rows * (place.pe, classes.part_rows))
    columns = in_order(classes.by_columns * (place.pe, classes.part_columns))
    weights = columns / setting.cells
    # Inputs cross all subarrays but the first along the width, sums likewise along the height.
    into = rows * place.bit_vectors * c.subarray_width_um
    out = weights * setting.adc_bits * place.vectors * c.subarray_height_um
    return c.pe_bus_pj_per_um * gaps * (into + out)


def _tile_sum_energy(place: Placement) -> Floats:
    """Adder trees of the tiles, row of tiles by row of tiles."""
    chip, plan = place.chip, place.plan
    full, rest = remainder(place.block_rows, place.tile)
    bits = place.of_tile("pe_sum_bits")
    table = chip.trees.energy_pj
    full_tiles = chip.trees.at(table, plain_inputs(place, place.tile), bits) * full
    last_tile = chip.trees.at(table, plain_inputs(place, rest), bits) * (rest > 0)
    novel = chip.trees.at(table, chip.novel.leaves, bits) * plan.tile_rows
    # Every column of tiles holds other outputs and adds its own sums.
    trees = place.of_tile("tile_trees") * place.merges * place.vectors
    return trees * plan.tile_cols * place.pick(novel, full_tiles + last_tile)


def chip_sum_energy(place: Placement) -> Floats:
    """Adder trees that add the sums of tiles which share a column."""
    chip = place.chip
    tree = chip.trees.at(chip.trees.energy_pj, place.plan.tile_rows, chip.extra_bits)
    return np.ceil(place.layers.columns * place.vectors / chip.units) * chip.units * tree


def tile_bits(place: Placement) -> tuple[Floats, Floats]:
    """Bits into and out of all tiles of a layer; every column of tiles gets all inputs."""
    # A row of tiles hands on sums of its own, hence as many outputs as there are rows of tiles.
    into = place.tile_in_bits(place.block_rows) * place.plan.tile_cols
    out = place.tile_out_bits(place.layers.columns)
    return into, out * place.plan.tile_rows


def _tile_buffer_energy(place: Placement) -> Floats:
    into, out = tile_bits(place)
    written = into * place.of_tile("input_buffer.access_pj_per_bit")
    return written + out * place.of_tile("output_buffer.access_pj_per_bit")


def _global_buffer(place: Placement) -> Floats:
    """Inputs are read from the global buffer, outputs written to it, line by line."""
    c = place.chip.setting.constants
    read = place.global_out_bits * c.global_read_pj
    return (read + place.global_in_bits * c.global_write_pj) / GLOBAL_CORE_WIDTH


def _tree_energy(place: Placement) -> Floats:
    """H-trees: every bit inside tiles, whole bus widths on the chip."""
    chip, local = place.chip, place.of_tile("htree.energy_pj_per_bit")
    wide = place.pick(chip.novel_htree.energy_pj_per_bit, chip.plain_htree.energy_pj_per_bit)
    # The global bus is clocked as a whole: a transfer that is not full costs a full one.
    transfers = np.ceil((place.global_out_bits + place.global_in_bits) / chip.bus_bits)
    into, out = tile_bits(place)
    return np.asarray(local * (into + out) + wide * transfers * chip.bus_bits)


def _relu_energy(place: Placement) -> Floats:
    # All registers flip together, those that a last, partly filled round leaves unused too.
    flips = np.ceil(place.vectors * place.layers.out_channels / place.chip.units)
    flips = flips * INPUT_BITS * place.chip.units
    return flips * place.chip.setting.constants.dff_pj


def _pool_energy(place: Placement) -> Floats:
    units = place.chip.pool_units * place.chip.setting.constants.pool_pj
    return pool_operations(place) * units
