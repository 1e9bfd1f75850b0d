"""Energy of reading subarrays: fixed periphery, word lines, and what the columns draw.

Per bit-vector a subarray spends E = base + active * (active rows / S), whatever share of it is
used, plus for every used column t (p0 (levels - 1) + k G) while its sense amplifiers settle, with
G the conductance of its active cells in series with wires and access transistor; a column without
an active cell draws 1 uW instead. Source: DNN+NeuroSim V1.3, multilevel sense amplifier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import log

import numpy as np

from cim_sim.cost.activity import digit_shares
from cim_sim.cost.layers import INPUT_BITS, in_order
from cim_sim.cost.setting import Setting
from cim_sim.types import Floats

SENSE_NS = 1.0
"""Time t for which a column draws current."""
SENSE_UW_PER_LEVEL = {22: 1.7, 32: 3.0875, 45: 6.3162}
SENSE_UW_PER_SIEMENS = {22: 0.0631e6, 32: 0.0649e6, 45: 0.075e6}
"""p0 and k of low-standby-power transistors at each node, in nm."""
IDLE_COLUMN_UW = 1.0
"""Drawn by a column without an active cell."""
POWER_EXCESS = 2.303 / log(10) - 1
"""NeuroSim fits power to exp(2.303 log10 G): nearly G, short of it by .1 % at a typical column."""
TYPICAL_ACTIVITY = 0.18
"""Share of active cells at which that shortfall is taken; twice as many change it by 1e-4."""
ACCESS_SHARE = {"rram": 0.25, "fefet": 0.0, "sram": 0.0}
"""Resistance of the access transistor as a share of the on-resistance."""


@dataclass(frozen=True)
class Reader:
    """Reads subarrays of one batch under one activity."""

    setting: Setting
    vectors: Floats
    planes: Floats
    """Share of ones on each value plane of the inputs, [planes, layers, designs]."""

    def energy(self, rows: Floats, widths: Sequence[Floats]) -> list[tuple[Floats, ...]]:
        """Energy of subarrays of which `rows` are used, for each of some used columns.

        Of all bit-vectors, pJ: ADC, shift-add and the rest, each [layers, designs].
        """
        c = self.setting.constants
        bit_vectors = INPUT_BITS * self.vectors
        active = bit_vectors * self._mean * rows / self.setting.size
        fixed_adc = bit_vectors * c.base_adc_pj + c.active_adc_pj * active
        accumulation = bit_vectors * c.base_accumulation_pj
        other = bit_vectors * c.base_other_pj + c.active_other_pj * active
        # The sign plane is always idle. A plane at a time stays in the processor's cache.
        idle = 1 + in_order(np.exp(rows * plane) for plane in self._log_zero)
        adcs = [fixed_adc + self.vectors * self._columns_pj(rows, used, idle) for used in widths]
        return [(adc, accumulation, other) for adc in adcs]

    @cached_property
    def _mean(self) -> Floats:
        """Share of ones over all planes, the sign plane's zeros included."""
        return np.asarray(in_order(self.planes) / INPUT_BITS)

    @cached_property
    def _log_zero(self) -> list[Floats]:
        """Logarithm of the share of zeros on each plane."""
        return [np.log1p(-plane) for plane in self.planes]

    def _columns_pj(self, rows: Floats, columns: Floats, idle: Floats) -> Floats:
        """Energy of the sense amplifiers for one input vector, all its planes together."""
        node = self.setting.hardware.node_nm
        busy_uw = SENSE_UW_PER_LEVEL[node] * (self.setting.hardware.adc_levels - 1)
        size = int(self.setting.size) + 1
        cells = column_conductance(self.setting).ravel()[(rows * size + columns).astype(np.intp)]
        drawn_uw = columns * (idle * IDLE_COLUMN_UW + (INPUT_BITS - idle) * busy_uw)
        drawn_uw = drawn_uw + SENSE_UW_PER_SIEMENS[node] * INPUT_BITS * self._mean * cells
        return SENSE_NS * drawn_uw * 1e-3


@cache
def column_conductance(setting: Setting) -> Floats:
    """Summed mean conductance (S) of the first r x c cells of a subarray, [S + 1, S + 1].

    Cell (i, j) is read through j + 1 pieces of word line and i + 1 of bit line, counted from the
    sense amplifier.
    """
    c, size = setting.constants, int(setting.size)
    along = np.arange(1, size + 1)
    wires = along[None, :] * c.wire_row_ohm + along[:, None] * c.wire_column_ohm
    shares = digit_shares(setting.hardware.cell_bits)
    mean = np.empty((size, size))
    for slot, digits in enumerate(shares):
        columns = slice(slot, None, len(shares))
        mean[:, columns] = sum(
            share * _conductance(setting, digit, wires[:, columns])
            for digit, share in enumerate(digits)
        )
    summed = np.zeros((size + 1, size + 1))
    summed[1:, 1:] = mean.cumsum(axis=0).cumsum(axis=1)
    drawing = TYPICAL_ACTIVITY * summed[1:, 1:] / along[None, :]
    summed[1:, 1:] *= drawing**POWER_EXCESS
    return summed


def _conductance(setting: Setting, digit: int, wires_ohm: Floats) -> Floats:
    """Conductance of a cell that holds `digit`, in series with its wires."""
    c = setting.constants
    if setting.hardware.device == "sram":
        return 1 / (c.access_ohm + wires_ohm)  # either node of the cell discharges a bit line
    top = (1 << setting.hardware.cell_bits) - 1
    low, high = 1 / (c.on_ohm * c.on_off), 1 / c.on_ohm
    cell_ohm = 1 / (low + digit / top * (high - low))
    return 1 / (cell_ohm + wires_ohm + ACCESS_SHARE[setting.hardware.device] * c.on_ohm)
