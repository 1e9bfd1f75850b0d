"""Dynamic energy of every layer, pJ.

PEs come in four classes, full or partly filled along rows and along columns, so that an energy is
a sum of counts times classes. Source: DNN+NeuroSim V1.3; "Dynamic energy" in `cim_sim/README.md`.
"""

from dataclasses import dataclass

import numpy as np

from cim_sim.cost.buffers import GLOBAL_CORE_WIDTH
from cim_sim.cost.components import Components
from cim_sim.cost.latency import bank_operations, plain_inputs, pool_operations
from cim_sim.cost.layers import INPUT_BITS, remainder
from cim_sim.cost.placement import Placement
from cim_sim.cost.subarray import Reader
from cim_sim.types import Floats


@dataclass(frozen=True)
class PeClasses:
    """How often PEs of each class are counted, and what part of a PE the partial ones fill."""

    full_full: Floats
    full_part: Floats
    part_full: Floats
    part_part: Floats
    part_rows: Floats
    """Rows of a PE that is partly filled along rows, 0 if there is none."""
    part_columns: Floats

    @property
    def full_rows(self) -> Floats:
        """PEs whose rows are full."""
        return self.full_full + self.full_part

    @property
    def partial_rows(self) -> Floats:
        """PEs whose rows are partly filled."""
        return self.part_full + self.part_part

    @property
    def full_columns(self) -> Floats:
        """PEs whose columns are full."""
        return self.full_full + self.part_full

    @property
    def partial_columns(self) -> Floats:
        """PEs whose columns are partly filled."""
        return self.full_part + self.part_part


def dynamic_energy_pj(place: Placement, planes: Floats) -> Components:
    """Energy by component, [layers, designs].

    Args:
        place: layers on their tiles.
        planes: share of ones on each value plane of the inputs, [7, layers, designs].
    """
    classes = count_pes(place)
    adc, array_sums, array_other = _array_energy(place, classes, planes)
    return Components(
        adc=adc,
        accumulation=array_sums
        + _pe_sum_energy(place, classes)
        + _tile_sum_energy(place)
        + chip_sum_energy(place),
        buffers=_bank_energy(place, classes) + _tile_buffer_energy(place) + _global_buffer(place),
        interconnect=_pe_bus_energy(place, classes) + _tree_energy(place),
        other=array_other + _relu_energy(place) + _pool_energy(place),
    )


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
    again, positions = _recounted(place), place.positions
    last_row_full = again.last_then_full + again.last_then_last * (1 - col_part)
    last_row_part = again.last_then_last * col_part
    return PeClasses(
        full_full=positions * full_rows * full_cols
        + again.full_then_last * (1 - col_part)
        + last_row_full * (1 - row_part),
        full_part=positions * full_rows * col_part
        + again.full_then_last * col_part
        + last_row_part * (1 - row_part),
        part_full=positions * row_part * full_cols + last_row_full * row_part,
        part_part=positions * row_part * col_part + last_row_part * row_part,
        part_rows=part_rows,
        part_columns=part_cols,
    )


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


@dataclass(frozen=True)
class _Recounted:
    """PE slots without weights, by the used PE that is counted in their stead."""

    full_then_last: Floats
    """A PE with full rows in the last used column."""
    last_then_full: Floats
    """A PE in the last used row with full columns."""
    last_then_last: Floats


def _recounted(place: Placement) -> _Recounted:
    across = place.across
    active = ~place.novel & (place.plan.copies == 1)
    row_tiles, row_rest = remainder(place.layers.rows, place.tile)
    col_tiles, col_rest = remainder(place.layers.columns, place.tile)
    used_rows, used_cols = np.ceil(row_rest / place.pe), np.ceil(col_rest / place.pe)
    free_rows = np.where(row_rest > 0, across - used_rows, 0) * active
    free_cols = np.where(col_rest > 0, across - used_cols, 0) * active
    corner = (row_rest > 0) & (col_rest > 0)
    return _Recounted(
        full_then_last=free_cols * (row_tiles * across + corner * (used_rows - 1)),
        last_then_full=free_rows * across * col_tiles,
        last_then_last=corner * (free_cols + free_rows * across),
    )


def _array_energy(
    place: Placement, classes: PeClasses, planes: Floats
) -> tuple[Floats, Floats, Floats]:
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
    high = classes.full_full * per_side + classes.part_full * row_full
    wide = classes.full_part * per_side + classes.part_part * row_full
    counts = (
        high * per_side + wide * col_full,
        wide * col_part,
        row_part * (classes.part_full * per_side + classes.part_part * col_full),
        row_part * col_part * classes.part_part,
    )
    energies = [*reader.energy(full, (full, col_left)), *reader.energy(row_left, (full, col_left))]
    spent = list(zip(counts, energies, strict=True))
    return (
        sum((count * one.adc for count, one in spent), np.zeros_like(full)),
        sum((count * one.accumulation for count, one in spent), np.zeros_like(full)),
        sum((count * one.other for count, one in spent), np.zeros_like(full)),
    )


def _pe_sum_energy(place: Placement, classes: PeClasses) -> Floats:
    """Adder trees of the PEs; where copies share a PE its tree is counted per subarray."""
    chip, size = place.chip, place.chip.setting.size
    table = chip.trees.energy_pj
    # A tree is as deep as the subarrays that it adds are many: fewer in a PE partly filled in rows.
    once = classes.full_rows * chip.trees.at(table, place.pe / size)
    once = once + classes.partial_rows * chip.trees.at(table, np.ceil(classes.part_rows / size))
    spent = np.where(place.inner_copies > 1, _shared_trees(place), once)
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
    loads = classes.full_rows * loads + classes.partial_rows * part_loads
    stores = classes.full_columns * stores + classes.partial_columns * part_stores
    flips = loads * INPUT_BITS * place.chip.setting.size + stores * place.of_tile("output_flops")
    return flips * place.chip.setting.constants.dff_pj


def _pe_bus_energy(place: Placement, classes: PeClasses) -> Floats:
    """Buses along and across the subarrays of a PE."""
    setting = place.chip.setting
    c, gaps = setting.constants, place.pe / setting.size - 1
    rows = classes.full_rows * place.pe + classes.partial_rows * classes.part_rows
    columns = classes.full_columns * place.pe + classes.partial_columns * classes.part_columns
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
    into = place.tile_in_bits(place.block_rows) * place.plan.tile_cols
    out = place.tile_out_bits(place.layers.columns, place.of_tile("sum_bits"))
    return into, out * place.plan.tile_rows


def _tile_buffer_energy(place: Placement) -> Floats:
    chip, c = place.chip, place.chip.setting.constants
    into, out = tile_bits(place)
    novel, plain = chip.novel, chip.plain
    return into * place.pick(
        novel.input_buffer.access_pj_per_bit(c), plain.input_buffer.access_pj_per_bit(c)
    ) + out * place.pick(
        novel.output_buffer.access_pj_per_bit(c), plain.output_buffer.access_pj_per_bit(c)
    )


def _global_buffer(place: Placement) -> Floats:
    """Inputs are read from the global buffer, outputs written to it, line by line."""
    c = place.chip.setting.constants
    read = place.global_out_bits * c.global_read_pj
    return (read + place.global_in_bits * c.global_write_pj) / GLOBAL_CORE_WIDTH


def _tree_energy(place: Placement) -> Floats:
    """H-trees: every bit inside tiles, whole bus widths on the chip."""
    chip, c = place.chip, place.chip.setting.constants
    local = place.pick(chip.novel.htree.energy_pj_per_bit(c), chip.plain.htree.energy_pj_per_bit(c))
    wide = place.pick(chip.novel_htree.energy_pj_per_bit(c), chip.plain_htree.energy_pj_per_bit(c))
    # The global bus is clocked as a whole: a transfer that is not full costs a full one.
    transfers = np.ceil((place.global_out_bits + place.global_in_bits) / chip.bus_bits)
    into, out = tile_bits(place)
    return np.asarray(local * (into + out) + wide * transfers * chip.bus_bits)


def _relu_energy(place: Placement) -> Floats:
    flips = np.ceil(place.vectors * place.layers.out_channels / place.chip.units)
    flips = flips * INPUT_BITS * place.chip.units
    return flips * place.chip.setting.constants.dff_pj


def _pool_energy(place: Placement) -> Floats:
    units = place.chip.tile_side * place.chip.setting.constants.pool_pj
    return pool_operations(place) * units
