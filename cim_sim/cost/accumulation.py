"""Adder trees: they add the partial sums of subarrays, of PEs and of tiles.

A tree of u inputs has ceil(log2 u) stages; the adders grow by one bit per stage, and a stage
holds half as many adders as it has inputs, rounded down at every halving (NeuroSim's count, which
leaves an odd input unadded for energy and area though not for latency).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from cim_sim.cost.constants import Constants
from cim_sim.types import Floats

MAX_EXTRA_BITS = 24
"""Widths that the table knows above the first; log2 of any PE, tile or kernel stays below."""


@dataclass(frozen=True)
class AdderTrees:
    """Look-up tables [extra bits, inputs] of one tree for each width of its first stage."""

    cycles: Floats
    energy_pj: Floats
    area_um2: Floats
    leak_uw: Floats

    def at(self, table: Floats, inputs: Floats, extra_bits: Floats | float = 0) -> Floats:
        """Look `table` up; whole numbers in float64 of equal shape or broadcast."""
        width = table.shape[1]
        index = np.asarray(extra_bits * width + inputs).astype(np.intp)
        return table.ravel()[index]


@cache
def adder_trees(constants: Constants, first_bits: int, most_inputs: int) -> AdderTrees:
    """Tabulate trees of up to `most_inputs` inputs whose first stage has `first_bits` bits or more.

    Source: constants `adder.*`; structure from NeuroSim's adder tree.
    """
    inputs = np.arange(most_inputs + 1)[None, :]
    bits = first_bits + np.arange(MAX_EXTRA_BITS)[:, None]
    stages = np.ceil(np.log2(np.maximum(inputs, 1)))
    shape = (MAX_EXTRA_BITS, most_inputs + 1)
    cycles, adders, adder_bits = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for stage in range(int(stages.max())):
        in_stage = np.where(stage < stages, inputs // 2 ** (stage + 1), 0)
        delay_ns = constants.adder_bit_ns * (bits + stage) + constants.adder_fixed_ns
        cycles += np.where(stage < stages, np.ceil(delay_ns), 0)
        adders += in_stage
        adder_bits += in_stage * (bits + stage)
    return AdderTrees(
        cycles=cycles,
        energy_pj=constants.adder_bit_pj * adder_bits + constants.adder_fixed_pj * adders,
        area_um2=constants.adder_bit_area_um2 * adder_bits,
        leak_uw=constants.adder_bit_leak_uw * adder_bits,
    )


def table_size(inputs: Floats) -> int:
    """Round the most inputs of a batch up to a power of two, so that few tables are built."""
    return 1 << int(max(float(inputs.max(initial=1)) - 1, 63)).bit_length()
