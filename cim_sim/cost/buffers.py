"""Flip-flop buffers: the banks of a PE, the cores of a tile, the cores of the chip.

A core is an array of lines with a decoder. Reading a line costs its flip-flops and the decoder,
writing it a stronger decoder. Source: constants `tilebuf.*`, `globalbuf.*`, `unit.dff.*`.
"""

from dataclasses import dataclass

import numpy as np

from cim_sim.cost.constants import Constants
from cim_sim.types import Bools, Floats

TILE_CORE_BITS = 1024
TILE_CORE_WIDTH = 32
TILE_CORE_LINES = 32
"""A core of a tile: 32 lines of 32 bits (NeuroSim `Param`)."""
GLOBAL_CORE_BITS = 16384
GLOBAL_CORE_WIDTH = 128
"""A core of the chip: 128 lines of 128 bits (NeuroSim `Param`)."""
FEWEST_LINES = 4
"""Lines of the smallest decoder."""
DECODER_ENERGY = np.array([0.2, 0.32755, 0.47805, 1.0])
DECODER_AREA = np.array([0.09, 0.19628, 0.43267, 1.0])
DECODER_LEAK = np.array([0.17, 0.337, 0.6425, 1.0])
"""Decoders of 4, 8, 16 and 32 lines relative to 32: 8 and 16 from NeuroSim's module dumps, equal
at 22, 32 and 45 nm to .2 %; 4 extrapolated (it is below 1e-5 of any total)."""


@dataclass(frozen=True)
class TileBuffer:
    """One buffer of a tile that asks for `bits` in words of `word` bits, each [designs]."""

    constants: Constants
    bits: Floats
    word: Floats

    @property
    def cores(self) -> Floats:
        """Cores of 1024 bits."""
        return np.ceil(self.bits / TILE_CORE_BITS)

    @property
    def full(self) -> Bools:
        """Whether a core has its full size; a smaller one has words as wide as asked for."""
        return self.bits >= TILE_CORE_BITS

    @property
    def width(self) -> Floats:
        """Bits of one line."""
        return np.where(self.full, TILE_CORE_WIDTH, self.word)

    @property
    def access_pj_per_bit(self) -> Floats:
        """Energy of writing a bit and reading it back."""
        share = self._decoder(DECODER_ENERGY)
        read = self.width * self.constants.dff_pj + self.constants.tile_decoder_pj * share
        return (read + self.constants.tile_write_pj * share) / self.width

    @property
    def core_area_um2(self) -> Floats:
        """Area of one core."""
        c = self.constants
        return self._core(c.dff_area_um2, c.tile_core_area_um2, DECODER_AREA)

    @property
    def core_leak_uw(self) -> Floats:
        """Leakage of one core."""
        c = self.constants
        return self._core(c.dff_leak_uw, c.tile_core_leak_uw, DECODER_LEAK)

    def _core(self, flop: float, full_core: float, relative: Floats) -> Floats:
        """Flip-flops for as many bits as asked for, and the decoder: the rest of a full core."""
        decoder = (full_core - TILE_CORE_BITS * flop) * self._decoder(relative)
        return np.minimum(self.bits, TILE_CORE_BITS) * flop + decoder

    def _decoder(self, relative: Floats) -> Floats:
        lines = np.where(self.full, TILE_CORE_LINES, self.bits / self.word)
        return relative[np.log2(lines / FEWEST_LINES).astype(np.intp)]


def bank_area_um2(count: Floats, length_um: Floats, pitch_um: float, depth_um: float) -> Floats:
    """Area of flip-flops laid along `length_um` in as many full lines as they need."""
    lines = np.ceil(count / np.floor(length_um / pitch_um))
    return np.asarray(lines * depth_um * length_um)
