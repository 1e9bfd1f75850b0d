"""Floorplan: which mapping each layer gets, how large PEs and tiles are, what is duplicated.

Rules of DNN+NeuroSim V1.3. A chip holds tiles of up to two kinds. A *conventional* tile unrolls
kernels into rows; a *novel* tile (Peng et al., ISCAS 2019) has one PE for each kernel position.
Sizes are sides in memory cells.
"""

from collections.abc import Callable
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
    feasible: Bools
    """Whether NeuroSim finds a floorplan and, with the stock count, a window on every map."""

    @property
    def tiles(self) -> Floats:
        """Tiles of each layer, [layers, designs]."""
        return self.tile_rows * self.tile_cols

    @property
    def copies(self) -> Floats:
        """Speed-up of each layer by duplication, [layers, designs]."""
        return self.speedup_rows * self.speedup_cols

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
    # Over K*^2 PEs only the Cin rows of one position are stacked in each.
    block_rows = np.where(novel, layers.in_channels, layers.rows)
    positions = novel * layers.kernel**2
    novel_pe, _ = _fullest(block_rows, layers.columns, positions, wide_novel, 2 * size)
    tile, packed = _fullest(block_rows, layers.columns, ~novel, wide_plain, 4 * size)
    pe = _plain_pe(layers, ~novel, tile, packed, size)
    side, pe_side = np.where(novel, novel_pe, tile), np.where(novel, novel_pe, pe)
    tile_rows, tile_cols = np.ceil(block_rows / side), np.ceil(layers.columns / side)
    pe_copies = _pe_copies(layers, ~novel, tile, pe)
    # Copied first over the PEs of a tile, then each over the subarrays of a PE; speed-ups multiply.
    array_copies = _copies(block_rows, layers.columns, pe_side, size)
    speedup_rows, speedup_cols = pe_copies[0] * array_copies[0], pe_copies[1] * array_copies[1]
    # A novel tile has K^2 PEs of `side` x `side` cells.
    cells = tile_rows * tile_cols * side**2 * np.where(novel, layers.kernel**2, 1)
    is_novel = hardware.mapping == "novel"
    widest, needed = (wide_novel, 2 * size) if is_novel else (wide_plain, 4 * size)
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
        widest=widest,
        needed=needed,
        feasible=(widest >= needed) & ~layers.windowless.any(axis=0),
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


def _fullest(
    rows: Floats, columns: Floats, count: Floats | Bools, widest: Floats, least: float
) -> tuple[Floats, Floats]:
    """Best filled of `widest`, half of it, ... above `least`, and how full it is, [designs].

    Layers take `count` units, 0 of another kind's, for every block of rows x columns.
    """
    weights = (count * rows * columns).sum(axis=0)

    def filled(side: Floats) -> Floats:
        return np.asarray(weights / _cells(rows, columns, count, side))

    return _best(filled, np.maximum(widest, least), least, np.zeros_like(widest))


def _cells(rows: Floats, columns: Floats, count: Floats | Bools, side: Floats) -> Floats:
    """Cells of all units of a side, [designs]; at least 1."""
    units = np.ceil(rows / side) * np.ceil(columns / side) * count
    return np.asarray(np.maximum(units.sum(axis=0) * side**2, 1))


def _best(
    filled: Callable[[Floats], Floats], largest: Floats, least: float, share: Floats
) -> tuple[Floats, Floats]:
    """`largest`, unless half of it, a quarter, ... above `least` is filled by more than `share`."""
    best = side = largest
    while np.any(side > least):
        own = filled(np.maximum(side, least))
        better = (side > least) & (own > share)
        best, share = np.where(better, side, best), np.where(better, own, share)
        side = side / 2
    return best, share


def _plain_pe(layers: Layers, plain: Bools, tile: Floats, packed: Floats, size: float) -> Floats:
    """Half a tile, or the smaller side above two subarrays that its copies fill better."""
    weights = plain * layers.rows * layers.columns
    cells = _cells(layers.rows, layers.columns, plain, tile)

    # Smaller PEs leave the tile as it is, but let more copies of a matrix in.
    def filled(side: Floats) -> Floats:
        along_rows, along_cols = _pe_copies(layers, plain, tile, side)
        return np.asarray((along_rows * along_cols * weights).sum(axis=0) / cells)

    return _best(filled, tile / 2, 2 * size, packed)[0]


def _pe_copies(layers: Layers, plain: Bools, tile: Floats, pe: Floats) -> tuple[Floats, ...]:
    """Copies of a layer over the PEs of its tile; 1 for a novel layer."""
    copies = _copies(layers.rows, layers.columns, tile, pe)
    return tuple(np.where(plain, along, 1) for along in copies)


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
