"""Where latency, energy and area come from: by layer and by component."""

from dataclasses import dataclass

import numpy as np

from cim_sim.cost.chip import CostBatch, assess, totals
from cim_sim.cost.components import COMPONENTS, Components
from cim_sim.cost.latency import bus_share
from cim_sim.cost.mapping import Floorplan
from cim_sim.hardware import Hardware
from cim_sim.types import Floats
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
    plan: Floorplan
    """Mapping, tiles and copies; arrays of layers are [layers, designs] there."""
    bus_share: Floats
    """[designs, layers]: times the layer waits for the global buffer, all tiles over its own."""
    grid_rows: Floats
    """[designs]: rows of the chip's grid of tiles."""
    grid_cols: Floats

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
    parts = assess(stack, hardware, planes)
    hidden = np.where(parts.feasible, 0.0, np.nan)
    areas = np.stack([getattr(parts.area, name) for name in AREA_COMPONENTS], axis=1)
    return Breakdown(
        totals=totals(parts),
        latency_ns=_by_design(parts.latency_ns) + hidden[:, None, None],
        dynamic_energy_pj=_by_design(parts.dynamic_energy_pj) + hidden[:, None, None],
        leakage_energy_pj=(parts.leakage_energy_pj + hidden).T,
        area_um2=areas + hidden[:, None],
        plan=parts.placement.plan,
        bus_share=bus_share(parts.placement).T,
        grid_rows=parts.placement.chip.plain_htree.rows,
        grid_cols=parts.placement.chip.plain_htree.cols,
    )


def component(name: str) -> int:
    """Position of a component in the last axis of latency and energy."""
    return COMPONENTS.index(name)


def _by_design(components: Components) -> Floats:
    return np.stack([getattr(components, name).T for name in COMPONENTS], axis=2)
