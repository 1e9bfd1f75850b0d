"""What a layer meets on its tiles: the quantities of a tile's kind, picked for each layer."""

from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np

from cim_sim.cost.hierarchy import Chip
from cim_sim.cost.layers import Layers
from cim_sim.cost.mapping import Floorplan
from cim_sim.types import Bools, Floats


@dataclass(frozen=True)
class Placement:
    """Layers on tiles, each [layers, designs]."""

    layers: Layers
    plan: Floorplan
    chip: Chip
    novel: Bools
    block_rows: Floats
    """Rows that are cut into PEs: Cin on a novel tile, Cin K^2 on a conventional one."""
    pe: Floats
    tile: Floats
    """Side of a tile's share of the matrix."""
    across: Floats
    """PEs along the side of a conventional tile, [designs]."""
    kernel: Floats
    """K of a novel layer (its inputs are re-used between the PEs of a row), else 1."""
    positions: Floats
    """K*^2 of a novel layer, else 1."""
    whole: Bools
    """Conventional, and every PE holds the whole matrix."""
    inner_copies: Floats
    """Copies inside one PE; above 1 only where `whole`."""
    treeless: Bools
    """Every subarray holds the whole matrix: nothing to add inside the PE."""
    merges: Floats
    """Weights that share an ADC, as NeuroSim rounds it for this kind of tile."""
    _picked: dict[str, Floats] = field(default_factory=dict)

    @property
    def vectors(self) -> Floats:
        """Input vectors of each layer."""
        return self.layers.vectors

    @property
    def bit_vectors(self) -> Floats:
        """Input bit-vectors of each layer."""
        return self.layers.bit_vectors

    def pick(self, novel: Floats, plain: Floats) -> Floats:
        """Choose by kind; [designs] or [layers, designs]."""
        return np.where(self.novel, novel, plain)

    def of_tile(self, name: str) -> Floats:
        """Pick a property of `Tile`, or of one of its parts as in `htree.cycles`, by kind."""
        if name not in self._picked:
            quantity = attrgetter(name)
            self._picked[name] = self.pick(quantity(self.chip.novel), quantity(self.chip.plain))
        return self._picked[name]

    @property
    def global_out_bits(self) -> Floats:
        """Bits from the global buffer to the tiles; a novel tile re-uses K of a kernel row."""
        return self.layers.rows * self.bit_vectors / self.kernel

    @property
    def global_in_bits(self) -> Floats:
        """Bits of the output map, back into the global buffer."""
        bits = self.layers.out_channels * self.bit_vectors
        return np.asarray(bits / np.where(self.layers.pooled, 4, 1))

    def tile_in_bits(self, rows: Floats) -> Floats:
        """Bits that enter a tile which holds `rows` block rows of the matrix."""
        return rows * self.kernel * self.bit_vectors

    def tile_out_bits(self, columns: Floats) -> Floats:
        """Bits of the sums that leave the PEs of a tile which holds `columns`."""
        weights = columns / self.chip.setting.cells
        return weights * (1 + self.of_tile("sum_bits")) * self.vectors / self.positions


def place(layers: Layers, plan: Floorplan, chip: Chip) -> Placement:
    """Put the layers of a batch on their tiles."""
    setting, novel = chip.setting, plan.novel
    across = plan.tile / plan.pe
    whole = ~novel & (plan.speedup_rows >= across) & (plan.speedup_cols >= across)
    inner_rows = np.where(whole, plan.speedup_rows / across, 1)
    inner_cols = np.where(whole, plan.speedup_cols / across, 1)
    arrays = plan.pe / setting.size
    return Placement(
        layers=layers,
        plan=plan,
        chip=chip,
        novel=novel,
        block_rows=np.where(novel, layers.in_channels, layers.rows),
        pe=np.where(novel, plan.novel_pe, plan.pe),
        tile=np.where(novel, plan.novel_pe, plan.tile),
        across=across,
        kernel=np.where(novel, layers.kernel, 1),
        positions=np.where(novel, layers.kernel**2, 1),
        whole=whole,
        inner_copies=inner_rows * inner_cols,
        treeless=whole & (inner_rows >= arrays) & (inner_cols >= arrays),
        merges=np.where(novel, setting.merges, setting.merges_up),
    )
