"""Where latency, energy and area come from: by layer and by component."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cim_sim.cost.chip import CostBatch, assess, totals
from cim_sim.cost.components import COMPONENTS, Components
from cim_sim.cost.latency import bus_share
from cim_sim.cost.layers import Bools, Floats
from cim_sim.hardware import Hardware
from cim_sim.workload import Stack

AREA_COMPONENTS = ("array", "interconnect", "adc", "accumulation", "other")
"""NeuroSim's split of area; `other` includes buffers."""


@dataclass(frozen=True)
class Breakdown:
    """Parts of the cost of a batch of designs; numbers of infeasible designs are NaN."""

    totals: CostBatch
    latency_ns: Floats
    """[designs, layers, components], components in the order of `COMPONENTS`."""
    dynamic_energy_pj: Floats
    """[designs, layers, components]"""
    leakage_energy_pj: Floats
    """[designs, layers]"""
    area_um2: Floats
    """[designs, area components], in the order of `AREA_COMPONENTS`."""
    novel: Bools
    """[designs, layers]: mapped by kernel position, else conventionally."""
    speedup_rows: Floats
    """[designs, layers]: copies of the layer's matrix along rows."""
    speedup_cols: Floats
    tile_rows: Floats
    """[designs, layers]: tiles along rows."""
    tile_cols: Floats
    utilisation: Floats
    """[designs, layers]: share of the cells of the layer's tiles that hold weights."""
    bus_share: Floats
    """[designs, layers]: times the layer waits for the global buffer, all tiles over its own."""
    frequent_kernel: Floats
    """[designs]: what the novel mapping is built for."""
    tile: Floats
    """[designs]: side of a conventional tile in cells."""
    pe: Floats
    """[designs]: side of a PE of a conventional tile in cells."""
    novel_pe: Floats
    """[designs]: side of a novel PE in cells."""
    grid_rows: Floats
    """[designs]: rows of the chip's grid of tiles."""
    grid_cols: Floats

    @property
    def copies(self) -> Floats:
        """Speed-up by duplication, [designs, layers]."""
        return self.speedup_rows * self.speedup_cols

    @property
    def tiles(self) -> Floats:
        """Tiles of each layer, [designs, layers]."""
        return self.tile_rows * self.tile_cols

    @property
    def energy_pj(self) -> Floats:
        """Dynamic and leakage energy of each layer, [designs, layers]."""
        return np.asarray(self.dynamic_energy_pj.sum(axis=2) + self.leakage_energy_pj)


def breakdown(stack: Stack, hardware: Hardware, planes: Floats | None = None) -> Breakdown:
    """Cost a batch of designs and keep all parts; the parts sum to the totals of `evaluate`.

    Args:
        stack: the designs.
        hardware: their setting.
        planes: measured activity, as `chip.assess` takes it.

    Raises:
        UsageError: as `evaluate`.
    """
    one = assess(stack, hardware, planes)
    plan, area = one.placement.plan, one.area
    hidden = np.where(one.feasible, 0.0, np.nan)
    areas = np.stack([getattr(area, name) for name in AREA_COMPONENTS], axis=1)
    return Breakdown(
        totals=totals(one),
        latency_ns=_by_design(one.latency_ns) + hidden[:, None, None],
        dynamic_energy_pj=_by_design(one.dynamic_energy_pj) + hidden[:, None, None],
        leakage_energy_pj=(one.leakage_energy_pj + hidden).T,
        area_um2=areas + hidden[:, None],
        novel=plan.novel.T,
        speedup_rows=plan.speedup_rows.T,
        speedup_cols=plan.speedup_cols.T,
        tile_rows=plan.tile_rows.T,
        tile_cols=plan.tile_cols.T,
        utilisation=plan.layer_utilisation.T,
        bus_share=bus_share(one.placement).T,
        frequent_kernel=plan.frequent_kernel,
        tile=plan.tile,
        pe=plan.pe,
        novel_pe=plan.novel_pe,
        grid_rows=one.placement.chip.plain_htree.rows,
        grid_cols=one.placement.chip.plain_htree.cols,
    )


def component(name: str) -> int:
    """Position of a component in the last axis of latency and energy."""
    return COMPONENTS.index(name)


def _by_design(components: Components) -> NDArray[np.float64]:
    return np.stack([getattr(components, name).T for name in COMPONENTS], axis=2)
