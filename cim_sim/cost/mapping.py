"""Floorplan: which mapping each layer gets, how large PEs and tiles are, what is duplicated.

Rules of DNN+NeuroSim V1.3. A chip holds tiles of up to two kinds. A *conventional* tile unrolls
kernels into rows; a *novel* tile (Peng et al., ISCAS 2019) has one PE for each kernel position.
Sizes are sides in memory cells.
"""

from dataclasses import dataclass

import numpy as np

from cim_sim.cost.layers import Layers, in_order
from cim_sim.hardware import Hardware
from cim_sim.types import Bools, Floats


@dataclass(frozen=True)
class Floorplan:
    """What a chip looks like; [designs] unless said otherwise."""

    novel: Bools
    """[layers, designs]: mapped by kernel position."""
    positions: Floats
    """K*^2, the PEs of a novel tile; 0 where no tile is novel."""
    novel_pe: Floats
    """Side of a novel tile's PE."""
    tile: Floats
    """Side of a conventional tile."""
    pe: Floats
    """Side of a conventional tile's PE."""
    tile_rows: Floats
    """Tiles that a layer takes along its rows, [layers, designs]."""
    tile_cols: Floats
    """Tiles that a layer takes along its columns, [layers, designs]."""
    speedup_rows: Floats
    """Copies of a layer's matrix along the rows of its tiles, [layers, designs]."""
    speedup_cols: Floats
    """The same along columns, [layers, designs]."""
    layer_utilisation: Floats
    """Share of the cells of its tiles that a layer fills, copies included, [layers, designs]."""
    frequent_kernel: Floats
    """The network's most frequent kernel above 1x1, which the novel mapping is built for."""
    widest: Floats
    """Columns of the widest layer that decides feasibility, up to a power of two."""
    needed: float
    """What `widest` must reach: 2 subarrays (novel) or 4 (conventional)."""

    @property
    def tiles(self) -> Floats:
        """Tiles of each layer, [layers, designs]."""
        return self.tile_rows * self.tile_cols

    @property
    def copies(self) -> Floats:
        """Speed-up of each layer by duplication, [layers, designs]."""
        return self.speedup_rows * self.speedup_cols

    @property
    def feasible(self) -> Bools:
        """Whether NeuroSim finds a floorplan."""
        return self.widest >= self.needed

    @property
    def has_novel(self) -> Bools:
        """Whether any tile is novel."""
        return self.positions > 0

    @property
    def utilisation(self) -> Floats:
        """Share of the chip's memory cells that hold weights."""
        tiles = self.tiles
        return np.asarray(in_order(self.layer_utilisation * tiles) / in_order(tiles))


def floorplan(layers: Layers, hardware: Hardware) -> Floorplan:
    """Lay out every design of a batch."""
    size = float(hardware.subarray)
    frequent = _most_frequent_kernel(layers.kernel)
    novel = np.zeros(layers.rows.shape, dtype=np.bool_)
    if hardware.mapping == "novel":
        # A novel tile has a PE for each position of one kernel size, hence one size for the chip.
        # NeuroSim leaves matrices that do not fill a subarray's rows to conventional tiles.
        novel = (layers.kernel == frequent) & (layers.rows >= size)
    wide_novel = _power_of_two(np.where(novel, layers.columns, 0).max(axis=0))
    wide_plain = _power_of_two(np.where(novel, 0, layers.columns).max(axis=0))
    novel_pe = _novel_pe(layers, novel, wide_novel, size)
    plain = _Plain(layers.rows, layers.columns, ~novel, size)
    tile, packed = plain.tile(wide_plain)
    pe = plain.pe(tile, packed)

    # Over K*^2 PEs only the Cin rows of one position are stacked in each.
    block_rows = np.where(novel, layers.in_channels, layers.rows)
    side, pe_side = np.where(novel, novel_pe, tile), np.where(novel, novel_pe, pe)
    tile_rows, tile_cols = np.ceil(block_rows / side), np.ceil(layers.columns / side)
    pe_copies = plain.pe_copies(tile, pe)
    # Copied first over the PEs of a tile, then each over the subarrays of a PE; speed-ups multiply.
    array_copies = _copies(block_rows, layers.columns, pe_side, size)
    speedup_rows, speedup_cols = pe_copies[0] * array_copies[0], pe_copies[1] * array_copies[1]
    cells = tile_rows * tile_cols * side**2 * np.where(novel, layers.kernel**2, 1)
    is_novel = hardware.mapping == "novel"
    return Floorplan(
        novel=novel,
        positions=frequent**2 * novel.any(axis=0),
        novel_pe=novel_pe,
        tile=tile,
        pe=pe,
        tile_rows=tile_rows,
        tile_cols=tile_cols,
        speedup_rows=speedup_rows,
        speedup_cols=speedup_cols,
        layer_utilisation=speedup_rows * speedup_cols * layers.rows * layers.columns / cells,
        frequent_kernel=frequent,
        widest=wide_novel if is_novel else wide_plain,
        needed=2 * size if is_novel else 4 * size,
    )


def _power_of_two(values: Floats) -> Floats:
    """Round positive values up to powers of two; 0 stays 0."""
    # value = mantissa 2^exponent with mantissa in [1/2, 1): 1/2 is a power of two already.
    mantissa, exponent = np.frexp(values)
    return np.where(values > 0, np.ldexp(1.0, exponent - (mantissa == 0.5)), 0.0)


def _most_frequent_kernel(kernel: Floats) -> Floats:
    """Most frequent kernel above 1x1 of each design, the earliest on ties; 1 if there is none."""
    count = np.zeros_like(kernel)
    for other in kernel:
        count += kernel == other
    # argmax keeps the first of equal counts, the earliest layer.
    first = (count * (kernel > 1)).argmax(axis=0)
    taken = np.take_along_axis(kernel, first[None], axis=0)[0]
    return np.where((kernel > 1).any(axis=0), taken, 1)


def _novel_pe(layers: Layers, novel: Bools, widest: Floats, size: float) -> Floats:
    """Side of a novel PE: the best filled of `widest`, half of it, ... above two subarrays."""
    best, found = np.maximum(widest, 2 * size), np.zeros_like(widest)
    positions = np.where(novel, layers.kernel**2, 0)
    weights = np.where(novel, layers.rows * layers.columns, 0).sum(axis=0)
    candidate = widest
    while np.any(candidate > 2 * size):
        side = np.maximum(candidate, size)
        # Fill = weights / cells of all PEs, for each position ceil(Cin / P) ceil(columns / P).
        blocks = np.ceil(layers.in_channels / side) * np.ceil(layers.columns / side) * positions
        filled = weights / np.maximum(blocks.sum(axis=0) * side**2, 1)
        better = (candidate > 2 * size) & (filled > found)
        best, found = np.where(better, candidate, best), np.where(better, filled, found)
        candidate = candidate / 2
    return best


def _copies(
    rows: Floats, columns: Floats, side: Floats, unit: Floats | float
) -> tuple[Floats, ...]:
    """How often a matrix of at most one `side` fits its units of `unit`, along rows and columns."""
    # NeuroSim asks for one side to fit, not both; the side that does not fit gets one copy below.
    fits = (rows <= side) | (columns <= side)
    across = np.ceil(side / unit)
    return tuple(
        np.where(fits, np.maximum(1, np.floor(across / np.ceil(extent / unit))), 1)
        for extent in (rows, columns)
    )


@dataclass(frozen=True)
class _Plain:
    """The conventionally mapped layers of a batch and the search for their tile and PE."""

    rows: Floats
    columns: Floats
    member: Bools
    size: float

    def tile(self, widest: Floats) -> tuple[Floats, Floats]:
        """Best filled of max(widest, 4S), half of it, ... above four subarrays, and how full."""
        best, found = np.maximum(widest, 4 * self.size), np.zeros_like(widest)
        weights = np.where(self.member, self.rows * self.columns, 0).sum(axis=0)
        candidate = best
        while np.any(candidate > 4 * self.size):
            side = np.maximum(candidate, self.size)
            filled = weights / np.maximum(self._tiles(side) * side**2, 1)
            better = (candidate > 4 * self.size) & (filled > found)
            best, found = np.where(better, candidate, best), np.where(better, filled, found)
            candidate = candidate / 2
        return best, found

    def pe(self, tile: Floats, packed: Floats) -> Floats:
        """Half a tile, or the smaller side above two subarrays that its copies fill better."""
        best, found = tile / 2, packed
        cells = np.maximum(self._tiles(tile) * tile**2, 1)
        candidate = best
        while np.any(candidate > 2 * self.size):
            side = np.maximum(candidate, self.size)
            along_rows, along_cols = self.pe_copies(tile, side)
            weights = along_rows * along_cols * self.rows * self.columns
            filled = np.where(self.member, weights, 0).sum(axis=0) / cells
            better = (candidate > 2 * self.size) & (filled > found)
            best, found = np.where(better, candidate, best), np.where(better, filled, found)
            candidate = candidate / 2
        return best

    def pe_copies(self, tile: Floats, pe: Floats) -> tuple[Floats, ...]:
        """Copies of a layer over the PEs of its tile; 1 for a novel layer."""
        copies = _copies(self.rows, self.columns, tile, pe)
        return tuple(np.where(self.member, along, 1) for along in copies)

    def _tiles(self, side: Floats) -> Floats:
        tiles = np.ceil(self.rows / side) * np.ceil(self.columns / side)
        return np.asarray(np.where(self.member, tiles, 0).sum(axis=0))
