"""ISAAC's Table I adds up to its printed totals: an anchor from a published chip.

Source: Shafiee et al., "ISAAC: A convolutional neural network accelerator with in-situ analog
arithmetic in crossbars", ISCA 2016, Table I (32 nm), corrected version. Power and area of a row
are totals of its group. Rows sum to the printed totals within rounding, with two things to know:
the tile's router serves four tiles and is counted at a quarter, and the printed area of twelve
IMAs (.157) is .0004 below twelve times the sum of one.
"""

from typing import NamedTuple

import pytest


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
