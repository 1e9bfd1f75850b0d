"""ISAAC's Table I adds up to its printed totals."""

import pytest

from cim_sim.cost import isaac


def test_levels_sum_to_the_printed_totals_within_rounding():
    assert isaac.ima().power_mw == pytest.approx(24.08)
    assert isaac.ima().times(12).power_mw == pytest.approx(289, abs=0.5)
    assert isaac.tile().power_mw == pytest.approx(330, abs=0.5)
    assert isaac.tile().area_mm2 == pytest.approx(0.372, abs=0.0005)
    tiles = isaac.tile().times(isaac.TILES_PER_CHIP)
    assert tiles.power_mw == pytest.approx(55_400, abs=50)
    assert tiles.area_mm2 == pytest.approx(62.5, abs=0.05)
    assert isaac.chip().power_mw == pytest.approx(65_800, abs=50)
    assert isaac.chip().area_mm2 == pytest.approx(85.4, abs=0.05)


def test_the_router_counts_a_quarter():
    tile_alone = sum(part.power_mw / part.shared_by for part in isaac.TILE)
    assert tile_alone == pytest.approx(40.9, abs=0.06)
    assert sum(part.power_mw for part in isaac.TILE) == pytest.approx(72.35)
    assert sum(part.area_mm2 / part.shared_by for part in isaac.TILE) == pytest.approx(
        0.215, abs=0.0005
    )


def test_adcs_dominate_as_the_paper_says():
    share = isaac.adc_share_of_tile()
    assert share.power_mw == pytest.approx(0.58, abs=0.005)
    assert share.area_mm2 == pytest.approx(0.31, abs=0.005)
