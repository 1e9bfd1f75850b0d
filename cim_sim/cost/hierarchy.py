"""What is built: PEs, tiles of both kinds and the chip. All [designs].

Areas are in the parts of `AREA_COMPONENTS`, [area components, designs].

Chip > tiles > PEs > subarrays. Around the subarrays a PE has an adder tree and two banks of
flip-flops, a tile an adder tree, two buffers and an H-tree, the chip a buffer, an H-tree, adder
trees, ReLU registers and max-pool units. All tiles of a kind are identical.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cim_sim.cost.accumulation import AdderTrees, table_size
from cim_sim.cost.buffers import GLOBAL_CORE_BITS, TileBuffer, bank_area_um2
from cim_sim.cost.interconnect import GLOBAL_FOLD, LOCAL_FOLD, HTree, global_bus_bits
from cim_sim.cost.layers import INPUT_BITS, Layers, in_order
from cim_sim.cost.mapping import Floorplan
from cim_sim.cost.setting import Setting
from cim_sim.types import Floats


@dataclass(frozen=True)
class Tile:
    """One kind of tile; sizes in memory cells."""

    setting: Setting
    trees: AdderTrees
    pe: Floats
    """Side of a PE."""
    leaves: Floats
    """PEs whose sums one output adds: the PEs of a side (conventional) or K*^2 (novel)."""
    pes: Floats

    @cached_property
    def arrays(self) -> Floats:
        """Subarrays along the side of a PE."""
        return self.pe / self.setting.size

    @cached_property
    def pe_sum_bits(self) -> Floats:
        """Bits that a PE's tree adds to the sums of its subarrays."""
        return np.asarray(np.ceil(np.log2(self.arrays)))

    @cached_property
    def output_flops(self) -> Floats:
        """Flip-flops of a PE's output bank."""
        setting = self.setting
        return setting.size / setting.mux * (setting.array_sum_bits + self.pe_sum_bits)

    @cached_property
    def input_flops(self) -> float:
        """Flip-flops of a PE's input bank."""
        return INPUT_BITS * self.setting.size

    @cached_property
    def pe_trees(self) -> Floats:
        """Adder trees of a PE."""
        return np.ceil(self.pe / self.setting.mux)

    @cached_property
    def tile_trees(self) -> Floats:
        """Adder trees of the tile."""
        return np.ceil(self.bus_bits / self.setting.mux)

    @cached_property
    def bus_bits(self) -> Floats:
        """Width of the tile's H-tree."""
        return self.leaves * self.setting.size

    @cached_property
    def sum_bits(self) -> Floats:
        """Width of what a PE hands to its tile."""
        return self.setting.array_sum_bits + 1 + self.pe_sum_bits

    @cached_property
    def input_buffer(self) -> TileBuffer:
        """Inputs of the tile."""
        return TileBuffer(self.setting.constants, INPUT_BITS * self.bus_bits, self.bus_bits)

    @cached_property
    def output_buffer(self) -> TileBuffer:
        """Sums of the tile."""
        setting, word = self.setting, self.sum_bits * self.leaves
        return TileBuffer(setting.constants, word * setting.size / setting.mux, word)

    @cached_property
    def pe_area_um2(self) -> Floats:
        """One PE: its banks lie along the height and the width of its subarrays."""
        c, side = self.setting.constants, self.arrays
        tree = self.pe_trees * self.trees.at(self.trees.area_um2, side)
        count = side**2
        banks = bank_area_um2(
            np.full_like(side, self.input_flops),
            side * c.subarray_height_um,
            c.dff_height_um,
            c.dff_width_um,
        ) + bank_area_um2(
            self.output_flops, side * c.subarray_width_um, c.dff_width_um, c.dff_height_um
        )
        array, adc, adders = c.array_area_um2, c.adc_area_um2, c.accumulation_area_um2
        rest = c.subarray_area_um2 - array - adc - adders
        wires = np.zeros_like(side)
        return np.stack(
            [count * array, wires, count * adc, count * adders + tree, count * rest + banks]
        )

    @cached_property
    def htree(self) -> HTree:
        """Tree over the PEs; for a novel tile NeuroSim lays it over K*^2 x K*^2 units."""
        return HTree(self.setting, self.leaves, self.leaves, np.sqrt(in_order(self.pe_area_um2)))

    def area_um2(self, input_cores: Floats, output_cores: Floats) -> Floats:
        """One tile with the given numbers of buffer cores."""
        zero = np.zeros_like(self.pe)
        buffers = input_cores * self.input_buffer.core_area_um2
        buffers += output_cores * self.output_buffer.core_area_um2
        sums = self.trees.at(self.trees.area_um2, self.leaves, self.pe_sum_bits)
        wires = self.htree.area_um2(self.bus_bits, LOCAL_FOLD)
        shared = np.stack([zero, wires, zero, self.tile_trees * sums, buffers])
        return self.pe_area_um2 * self.pes + shared


@dataclass(frozen=True)
class Chip:
    """Everything built for one batch of designs."""

    setting: Setting
    plan: Floorplan
    trees: AdderTrees
    plain: Tile
    novel: Tile
    plain_area_um2: Floats
    novel_area_um2: Floats
    bus_bits: Floats
    """Width of the global H-tree."""
    cores: Floats
    """Cores of the global buffer, which holds the largest input map of the network."""
    units: Floats
    """ReLU registers and global adder trees."""
    extra_bits: Floats
    """Bits by which the first global adders are wider than a PE's."""

    @cached_property
    def tiles(self) -> Floats:
        """Tiles of both kinds."""
        return in_order(self.plan.tiles)

    @property
    def pool_units(self) -> Floats:
        """Max-pool units: as many as a conventional tile has rows."""
        return self.plan.tile

    def htree(self, unit_um: Floats) -> HTree:
        """Global tree over a nearly square grid of tiles."""
        rows = np.ceil(np.sqrt(self.tiles))
        return HTree(self.setting, rows, np.ceil(self.tiles / rows), unit_um)

    @cached_property
    def plain_htree(self) -> HTree:
        """Global tree as a layer on conventional tiles sees it."""
        return self.htree(np.sqrt(in_order(self.plain_area_um2)))

    @cached_property
    def novel_htree(self) -> HTree:
        """Global tree as a layer on novel tiles sees it."""
        return self.htree(np.sqrt(in_order(self.novel_area_um2)))

    @cached_property
    def area_um2(self) -> Floats:
        """The whole chip; the tree is laid for the larger tile."""
        c = self.setting.constants
        plain, novel = in_order(self.plain_area_um2), in_order(self.novel_area_um2)
        unit = np.where(self.plan.has_novel, np.maximum(plain, novel), plain)
        wires = self.htree(np.sqrt(unit)).area_um2(self.bus_bits, GLOBAL_FOLD)
        trees = self.trees
        most_inputs = self.plan.tile_rows.max(axis=0)
        sums = self.units * trees.at(trees.area_um2, most_inputs, self.extra_bits)
        relu = self.units * INPUT_BITS * c.dff_area_um2
        pools = self.pool_units * c.pool_area_um2
        zero = np.zeros_like(unit)
        rest = self.cores * c.global_core_area_um2 + relu + pools
        novel_tiles = in_order(self.plan.tiles * self.plan.novel)
        plain_tiles = self.tiles - novel_tiles
        tiles = self.plain_area_um2 * plain_tiles + self.novel_area_um2 * novel_tiles
        return np.asarray(tiles + np.stack([zero, wires, zero, sums, rest]))


def build(layers: Layers, plan: Floorplan, setting: Setting) -> Chip:
    """Build the chips of a batch of floorplans."""
    positions = np.maximum(plan.positions, 1)
    across = plan.tile / plan.pe
    kernel_side = np.where(plan.has_novel, np.ceil(np.sqrt(positions)), 0)
    sides = np.maximum(plan.tile, plan.novel_pe) / setting.size
    inputs = np.stack([plan.tile_rows.max(axis=0), positions, sides])
    trees = setting.trees(table_size(inputs))
    plain = Tile(setting, trees, plan.pe, across, across**2)
    novel = Tile(setting, trees, plan.novel_pe, positions, positions)
    # NeuroSim keeps one count of cores, that of the conventional tile, for both kinds.
    cores = plain.input_buffer.cores, plain.output_buffer.cores
    novel_width = kernel_side * plan.novel_pe
    widest = np.maximum(plan.tile, novel_width)
    ports = np.where(plan.novel, novel_width, plan.tile).sum(axis=0) * (1 + 1 / setting.mux)
    pe_arrays = np.maximum(plan.pe, np.where(plan.has_novel, plan.novel_pe, 0)) / setting.size
    map_bits = INPUT_BITS * layers.side**2 * layers.in_channels
    return Chip(
        setting=setting,
        plan=plan,
        trees=trees,
        plain=plain,
        novel=novel,
        plain_area_um2=plain.area_um2(*cores),
        novel_area_um2=novel.area_um2(*cores),
        bus_bits=global_bus_bits(ports),
        cores=np.ceil(map_bits.max(axis=0) / GLOBAL_CORE_BITS),
        units=np.ceil(widest / setting.mux),
        extra_bits=np.ceil(np.log2(pe_arrays)) + np.ceil(np.log2(np.maximum(across, kernel_side))),
    )
