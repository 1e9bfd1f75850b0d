"""ISAAC's Table I adds up to its printed totals: an anchor from a published chip.

Source: Shafiee et al., "ISAAC: A convolutional neural network accelerator with in-situ analog
arithmetic in crossbars", ISCA 2016, Table I (32 nm), corrected version. Power and area of a row
are totals of its group. Rows sum to the printed totals within rounding, with two things to know:
the tile's router serves four tiles and is counted at a quarter, and the printed area of twelve
IMAs (.157) is .0004 below twelve times the sum of one.
"""

from typing import NamedTuple

import pytest

from cim_sim.config import load
from cim_sim.scenario import Scenario
from cim_sim.space import from_wire


class Component(NamedTuple):
    """A group of equal components inside one parent."""

    name: str
    spec: str
    power_mw: float
    area_mm2: float
    shared_by: int = 1
    """Parents that share the group; each is charged its part."""


IMA = (
    Component("ADC", "8 of 8 bit, 1.2 GSps", 16, 0.0096),
    Component("DAC", "8x128 of 1 bit", 4, 0.00017),
    Component("sample and hold", "8x128", 0.01, 0.00004),
    Component("memristor array", "8 of 128x128, 2 bits per cell", 2.4, 0.0002),
    Component("shift and add", "4", 0.2, 0.00024),
    Component("input register", "2 KB", 1.24, 0.0021),
    Component("output register", "256 B", 0.23, 0.00077),
)
"""One in-situ multiply-accumulate unit."""

TILE = (
    Component("eDRAM buffer", "64 KB, 2 banks, 256 bit", 20.7, 0.083),
    Component("eDRAM-to-IMA bus", "384 wires", 7, 0.090),
    Component("router", "flit 32, 8 ports", 42, 0.151, shared_by=4),
    Component("sigmoid", "2", 0.52, 0.0006),
    Component("shift and add", "1", 0.05, 0.00006),
    Component("max pool", "1", 0.4, 0.00024),
    Component("output register", "3 KB", 1.68, 0.0032),
)
"""A tile without its IMAs."""

HYPERTRANSPORT = Component("HyperTransport", "4 links, 1.6 GHz, 6.4 GB/s", 10_400, 22.88)

IMAS_PER_TILE = 12
TILES_PER_CHIP = 168


class Total(NamedTuple):
    """Power and area of a level."""

    power_mw: float
    area_mm2: float

    def times(self, count: int) -> "Total":
        """Total of `count` such parts."""
        return Total(self.power_mw * count, self.area_mm2 * count)

    def plus(self, other: "Total") -> "Total":
        """Total of both."""
        return Total(self.power_mw + other.power_mw, self.area_mm2 + other.area_mm2)


def ima() -> Total:
    """One IMA."""
    return _sum(IMA)


def tile() -> Total:
    """One tile with its twelve IMAs."""
    return _sum(TILE).plus(ima().times(IMAS_PER_TILE))


def chip() -> Total:
    """168 tiles and the HyperTransport links."""
    return tile().times(TILES_PER_CHIP).plus(_sum((HYPERTRANSPORT,)))


def adc_share_of_tile() -> Total:
    """Share of a tile's power and area that its ADCs take, as fractions."""
    adcs = _sum(IMA[:1]).times(IMAS_PER_TILE)
    whole = tile()
    return Total(adcs.power_mw / whole.power_mw, adcs.area_mm2 / whole.area_mm2)


def _sum(parts: tuple[Component, ...]) -> Total:
    return Total(
        sum(part.power_mw / part.shared_by for part in parts),
        sum(part.area_mm2 / part.shared_by for part in parts),
    )


def test_levels_sum_to_the_printed_totals_within_rounding():
    assert ima().power_mw == pytest.approx(24.08)
    assert ima().times(12).power_mw == pytest.approx(289, abs=0.5)
    assert tile().power_mw == pytest.approx(330, abs=0.5)
    assert tile().area_mm2 == pytest.approx(0.372, abs=0.0005)
    tiles = tile().times(TILES_PER_CHIP)
    assert tiles.power_mw == pytest.approx(55_400, abs=50)
    assert tiles.area_mm2 == pytest.approx(62.5, abs=0.05)
    assert chip().power_mw == pytest.approx(65_800, abs=50)
    assert chip().area_mm2 == pytest.approx(85.4, abs=0.05)


def test_the_router_counts_a_quarter():
    tile_alone = sum(part.power_mw / part.shared_by for part in TILE)
    assert tile_alone == pytest.approx(40.9, abs=0.06)
    assert sum(part.power_mw for part in TILE) == pytest.approx(72.35)
    assert sum(part.area_mm2 / part.shared_by for part in TILE) == pytest.approx(0.215, abs=0.0005)


def test_adcs_dominate_as_the_paper_says():
    share = adc_share_of_tile()
    assert share.power_mw == pytest.approx(0.58, abs=0.005)
    assert share.area_mm2 == pytest.approx(0.31, abs=0.005)


CYCLE_S, BITS = 100e-9, 16
"""One read of the crossbars, and the reads that a 16-bit input takes."""
MACS_OF_AN_IMA = 8 * 128 * 128 // 8
"""Per input: eight crossbars of 128 rows, 128 columns each, eight columns to a 16-bit weight."""


def test_where_the_papers_energy_normaliser_comes_from():
    """2.7 pJ for a MAC when all cells are busy: 8e7 pJ is a network of 30 million MACs.

    The example design of LCDA's prompt has 41 million, on 32x32 images: 1.1e8 pJ. So 8e7 pJ is the
    energy that Table I gives a network of this size, without chip-to-chip links.
    """
    per_mac_pj = tile().power_mw / IMAS_PER_TILE * CYCLE_S * BITS / MACS_OF_AN_IMA * 1e9
    assert per_mac_pj == pytest.approx(2.69, abs=0.01)
    assert 8e7 / per_mac_pj == pytest.approx(29.8e6, rel=0.01)
    scenario = load("configs/scenarios/paper-energy.yaml", Scenario)
    example = from_wire([[32, 3], [32, 3], [64, 3], [64, 3], [128, 3], [128, 3]])
    stack = scenario.workload.stack([example])
    macs = int((stack.side**2 * stack.weights).sum())
    assert macs == pytest.approx(40.8e6, rel=0.01)
    assert macs * per_mac_pj == pytest.approx(1.1e8, rel=0.01)


def test_the_papers_frame_rate_takes_copies_of_the_first_layer():
    """Without copies 1024 positions of a 32x32 image take 1.6 us each: 610 frames a second.

    1,600 are 2.6 times as many, which ISAAC reaches by copying early layers; Table I does not say
    how often. At 8e7 pJ a frame they draw .13 W, 39 % of one tile of 168.
    """
    frames = 1 / (32 * 32 * CYCLE_S * BITS)
    assert frames == pytest.approx(610, abs=1)
    assert 1600 / frames == pytest.approx(2.62, abs=0.01)
    assert 8e7 * 1e-12 * 1600 / (tile().power_mw / 1e3) == pytest.approx(0.39, abs=0.01)
