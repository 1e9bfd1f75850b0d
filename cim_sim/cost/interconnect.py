"""H-trees (tile to PEs, chip to tiles) and the buses inside a PE.

Source: DNN+NeuroSim V1.3, H-tree of repeated wires; constants `htree.*`, `pebus.*`.
"""

from dataclasses import dataclass

import numpy as np

from cim_sim.cost.setting import Setting
from cim_sim.types import Floats

WIRE_WIDTH_NM = {22: 40.0, 32: 56.0, 45: 80.0}
"""Minimum wire width of a node (NeuroSim `Param`)."""
WIRE_CAPACITANCE_F_PER_UM = 0.2e-15
"""Of a wire at every node (NeuroSim: 0.2 fF/um)."""
WIRE_ASPECT = 1.6
"""Height over width of a wire."""
LONG_SEGMENT_F = 1e5
"""Segments of this many feature sizes or more get wires four instead of two widths wide."""
LOCAL_FOLD, GLOBAL_FOLD = 16, 4
"""Wires of a bus laid above each other, inside a tile and on the chip (`treeFoldedRatio`)."""
BUS_LIMIT = 2048
"""Widest global bus in bits (`maxGlobalBusWidth`)."""


@dataclass(frozen=True)
class HTree:
    """A tree over a `rows` x `cols` grid of square units of side `unit_um`, all [designs]."""

    setting: Setting
    rows: Floats
    cols: Floats
    unit_um: Floats

    @property
    def levels(self) -> Floats:
        """Branchings from the centre to a unit."""
        return np.asarray(np.ceil(np.log2(np.maximum(self.rows, self.cols))))

    @property
    def main_bus_um(self) -> Floats:
        """Length of the bus that leads from the edge into the centre."""
        centre = np.floor(np.log2(np.minimum(self.rows, self.cols)))
        centre = np.where(self.cols - centre < 1, centre - 1, centre)
        return np.asarray(np.minimum(self.cols - centre, centre) * self.unit_um)

    @property
    def cycles(self) -> Floats:
        """Cycles of one transfer, root to leaf: a vertical and a horizontal segment per level."""
        limit_um = LONG_SEGMENT_F * self.setting.hardware.node_nm * 1e-3
        length = self.main_bus_um
        long = np.where(self.unit_um >= limit_um, length, 0)
        levels = self.levels
        for level in range(int(levels.max(initial=0))):
            segment = np.where(level < levels, self.unit_um * 2.0**level, 0)
            length = length + 2 * segment
            long = long + np.where(segment >= limit_um, 2 * segment, 0)
        saved = _long_wire_saving_ns_per_um(self.setting)
        return np.ceil(self.setting.constants.tree_ns_per_um * length - saved * long)

    @property
    def energy_pj_per_bit(self) -> Floats:
        """Energy of one bit, root to leaf (a quarter of the wires toggles, included)."""
        length = (2**self.levels - 1) * self.unit_um + self.main_bus_um
        return self.setting.constants.tree_pj_per_um * length

    def area_um2(self, bus_bits: Floats, fold: int) -> Floats:
        """Area of the repeaters: wider with every level, plus the main bus."""
        levels, constants = self.levels, self.setting.constants
        weighted = np.zeros_like(levels)
        for level in range(1, int(levels.max(initial=0))):
            weighted += np.where(level < levels, level * 2.0 ** (levels - 1 - level), 0)
        pitch = constants.repeater_width_um + constants.repeater_height_um
        branches = weighted * self.unit_um / 2 * pitch
        return bus_bits / fold * (branches + constants.repeater_height_um * self.main_bus_um)


def global_bus_bits(ports: Floats) -> Floats:
    """Halve the bits that all layers want together until they are within the limit."""
    halvings = np.ceil(np.log2(np.maximum(ports / BUS_LIMIT, 1)))
    return np.asarray(ports / 2**halvings)


def _long_wire_saving_ns_per_um(setting: Setting) -> float:
    """Return what a four-width wire saves against a two-width one: .7 (c d / 2 + C) (r2 - r4).

    c is the capacitance of wire, d the distance of repeaters, C their input capacitance.
    """
    c, width = setting.constants, WIRE_WIDTH_NM[setting.hardware.node_nm]
    load_f = 0.5 * WIRE_CAPACITANCE_F_PER_UM * c.repeater_distance_um + c.repeater_input_f
    drop = _wire_ohm_per_um(2 * width) - _wire_ohm_per_um(4 * width)
    return 0.7 * load_f * drop * 1e9


def _wire_ohm_per_um(width_nm: float) -> float:
    """Resistance of copper wire; narrow wires scatter more (resistivity in Ohm m)."""
    resistivity = 2.20e-8 if width_nm >= 175 else 2.52e-8
    return resistivity / (WIRE_ASPECT * (width_nm * 1e-9) ** 2) * 1e-6
