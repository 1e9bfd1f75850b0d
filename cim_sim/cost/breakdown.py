"""What a batch of designs costs: totals, and where they come from by layer and by component."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cim_sim.cost.activity import synthetic_activity
from cim_sim.cost.energy import dynamic_energy_pj
from cim_sim.cost.hierarchy import build
from cim_sim.cost.latency import latency_cycles
from cim_sim.cost.layers import in_order, layers_of
from cim_sim.cost.leakage import leakage_energy_pj
from cim_sim.cost.mapping import floorplan
from cim_sim.cost.placement import Placement, place
from cim_sim.cost.setting import setting
from cim_sim.hardware import Hardware
from cim_sim.types import Bools, Floats
from cim_sim.workload import Stack

COMPONENTS = ("adc", "accumulation", "buffers", "interconnect", "other")
"""Of latency and energy; NeuroSim's own "other" is the last three together.

`adc`: sense amplifiers and, with them, bit lines and word lines of the array. `accumulation`:
shift-adders and adder trees. `other`: drivers, decoders and switch matrices, ReLU, pooling.
"""
AREA_COMPONENTS = ("array", "interconnect", "adc", "accumulation", "other")
"""Of area; `other` includes buffers."""


@dataclass(frozen=True)
class CostBatch:
    """Cost of a batch of designs; every array is [designs], NaN where infeasible."""

    feasible: Bools
    """Whether the design has a floorplan."""
    latency_ns: Floats
    """One image, layer by layer."""
    dynamic_energy_pj: Floats
    leakage_energy_pj: Floats
    area_um2: Floats
    utilisation: Floats
    """Share of the chip's memory cells that hold weights."""
    clock_ns: Floats
    tiles: Floats

    @property
    def energy_pj(self) -> Floats:
        """Dynamic and leakage energy of one image: what is reported."""
        return self.dynamic_energy_pj + self.leakage_energy_pj

    def __len__(self) -> int:
        """Return the number of designs."""
        return len(self.feasible)


@dataclass(frozen=True)
class Breakdown:
    """Parts of the cost of a batch of designs; numbers of infeasible designs are NaN."""

    placement: Placement
    """Mapping, tiles, copies and the chip; meaningless where infeasible."""
    latency_ns: Floats
    """[components, layers, designs], components in the order of `COMPONENTS`."""
    dynamic_energy_pj: Floats
    """[components, layers, designs]"""
    leakage_energy_pj: Floats
    """[layers, designs]"""
    area_um2: Floats
    """[area components, designs], in the order of `AREA_COMPONENTS`."""

    @property
    def energy_pj(self) -> Floats:
        """Dynamic and leakage energy of each layer, [layers, designs]."""
        return in_order(self.dynamic_energy_pj) + self.leakage_energy_pj

    @cached_property
    def totals(self) -> CostBatch:
        """Sums over components and layers, what `evaluate` returns."""
        plan, chip = self.placement.plan, self.placement.chip
        hidden = np.where(plan.feasible, 0.0, np.nan)
        return CostBatch(
            feasible=plan.feasible,
            latency_ns=in_order(in_order(self.latency_ns)),
            dynamic_energy_pj=in_order(in_order(self.dynamic_energy_pj)),
            leakage_energy_pj=in_order(self.leakage_energy_pj),
            area_um2=in_order(self.area_um2),
            utilisation=plan.utilisation + hidden,
            clock_ns=chip.setting.constants.clock_ns + hidden,
            tiles=chip.tiles + hidden,
        )


def breakdown(stack: Stack, hardware: Hardware, planes: Floats | None = None) -> Breakdown:
    """Lay out a batch and compute every layer's latency, energy and leakage.

    Args:
        stack: the designs.
        hardware: their setting.
        planes: share of ones on each value plane of the inputs, [7, layers, designs], most
            significant first; the synthetic activity if None.

    Raises:
        UsageError: the table of constants does not hold the setting; lists the nearest ones.
    """
    layers = layers_of(stack, hardware)
    plan = floorplan(layers, hardware)
    here = setting(hardware)
    placement = place(layers, plan, build(layers, plan, here))
    hidden = np.where(plan.feasible, 0.0, np.nan)
    latency = latency_cycles(placement)
    latency *= here.constants.clock_ns  # in place: a batch's arrays are larger than the caches
    latency += hidden
    activity = synthetic_activity(layers) if planes is None else planes
    energy = dynamic_energy_pj(placement, activity)
    energy += hidden
    return Breakdown(
        placement=placement,
        latency_ns=latency,
        dynamic_energy_pj=energy,
        leakage_energy_pj=leakage_energy_pj(placement, in_order(latency)),
        area_um2=placement.chip.area_um2 + hidden,
    )
