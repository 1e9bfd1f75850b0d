"""The public verbs of the cost model: `evaluate`, `breakdown`, `floorplan_fault`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from cim_sim.cost.activity import synthetic_activity
from cim_sim.cost.components import Components
from cim_sim.cost.energy import dynamic_energy_pj
from cim_sim.cost.hierarchy import Area, build
from cim_sim.cost.latency import latency_cycles
from cim_sim.cost.layers import in_order, layers_of
from cim_sim.cost.leakage import leakage_energy_pj
from cim_sim.cost.mapping import Floorplan, floorplan
from cim_sim.cost.placement import Placement, place
from cim_sim.cost.setting import setting
from cim_sim.hardware import Hardware
from cim_sim.types import Bools, Floats, Ints
from cim_sim.workload import Stack

CHUNK = 2048
"""Designs worked on at a time, so that the arrays of one step stay in the processor's cache."""


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
class Assessment:
    """Everything computed for one batch, [layers, designs]; meaningless where infeasible."""

    placement: Placement
    feasible: Bools
    latency_ns: Components
    dynamic_energy_pj: Components
    leakage_energy_pj: Floats

    @property
    def area(self) -> Area:
        """Area of the chip."""
        return self.placement.chip.area


def evaluate(stack: Stack, hardware: Hardware) -> CostBatch:
    """Cost a batch of designs on one hardware setting.

    Raises:
        UsageError: the table of constants does not hold the setting; lists the nearest ones.
    """
    return _in_chunks(stack, lambda part: _evaluate(part, hardware))


def evaluate_mixed(stack: Stack, hardware: Sequence[Hardware]) -> CostBatch:
    """Cost designs with a hardware setting each: rows of equal hardware go together.

    Raises:
        UsageError: as `evaluate`.
    """
    groups = _by_hardware(hardware)
    parts = [evaluate(stack[rows], shared) for shared, rows in groups.items()]
    return _joined(parts, np.argsort(np.concatenate(list(groups.values()))))


def floorplan_fault(stack: Stack, hardware: Hardware) -> list[str | None]:
    """Say for each design why it has no floorplan and what would cure it; None if it has one."""
    layers = layers_of(stack, hardware)
    plan = floorplan(layers, hardware)
    return [
        None if fits else _fault(plan, stack, hardware, index)
        for index, fits in enumerate(feasible(stack, plan, hardware))
    ]


def floorplan_fault_mixed(stack: Stack, hardware: Sequence[Hardware]) -> list[str | None]:
    """As `floorplan_fault`, with a hardware setting for each design."""
    faults: list[str | None] = [None] * len(hardware)
    for shared, rows in _by_hardware(hardware).items():
        for row, fault in zip(rows, floorplan_fault(stack[rows], shared), strict=True):
            faults[row] = fault
    return faults


def _by_hardware(hardware: Sequence[Hardware]) -> dict[Hardware, Ints]:
    """Rows of equal hardware."""
    rows_of: dict[Hardware, list[int]] = {}
    for row, own in enumerate(hardware):
        rows_of.setdefault(own, []).append(row)
    return {shared: np.array(rows) for shared, rows in rows_of.items()}


def assess(stack: Stack, hardware: Hardware, planes: Floats | None = None) -> Assessment:
    """Lay out a batch and compute every layer's latency, energy and leakage.

    Args:
        stack: the designs.
        hardware: their setting.
        planes: share of ones on each value plane of the inputs, [7, layers, designs], most
            significant first; the synthetic activity if None.
    """
    layers = layers_of(stack, hardware)
    plan = floorplan(layers, hardware)
    here = setting(hardware)
    placement = place(layers, plan, build(layers, plan, here))
    latency = latency_cycles(placement).scaled(here.constants.clock_ns)
    dynamic = dynamic_energy_pj(placement, synthetic_activity(layers) if planes is None else planes)
    leakage = leakage_energy_pj(placement, latency.total)
    return Assessment(placement, feasible(stack, plan, hardware), latency, dynamic, leakage)


def _evaluate(stack: Stack, hardware: Hardware) -> CostBatch:
    return totals(assess(stack, hardware))


def totals(one: Assessment) -> CostBatch:
    """Sum an assessment over layers; NaN where infeasible."""
    plan, hidden = one.placement.plan, np.where(one.feasible, 0.0, np.nan)
    clock_ns = one.placement.chip.setting.constants.clock_ns
    return CostBatch(
        feasible=one.feasible,
        latency_ns=in_order(one.latency_ns.total) + hidden,
        dynamic_energy_pj=in_order(one.dynamic_energy_pj.total) + hidden,
        leakage_energy_pj=in_order(one.leakage_energy_pj) + hidden,
        area_um2=one.area.total + hidden,
        utilisation=plan.utilisation + hidden,
        clock_ns=clock_ns + hidden,
        tiles=one.placement.chip.tiles + hidden,
    )


def _in_chunks(stack: Stack, work: Callable[[Stack], CostBatch]) -> CostBatch:
    parts = [work(stack[at : at + CHUNK]) for at in range(0, max(len(stack), 1), CHUNK)]
    return _joined(parts)


def _joined(parts: Sequence[CostBatch], order: Ints | slice = slice(None)) -> CostBatch:
    names = [field.name for field in fields(CostBatch)]
    return CostBatch(*(np.concatenate([getattr(p, n) for p in parts])[order] for n in names))


def feasible(stack: Stack, plan: Floorplan, hardware: Hardware) -> Bools:
    """Say which designs have a floorplan and, with the stock count, a window on every map."""
    return plan.feasible & ~_windowless(stack, hardware).any(axis=1)


def _windowless(stack: Stack, hardware: Hardware) -> Bools:
    """[designs, layers]: the stock count finds no window of the kernel on the map."""
    return (stack.kernel > stack.side) & (hardware.pad == "stock")


def _fault(plan: Floorplan, stack: Stack, hardware: Hardware, index: int) -> str:
    windowless = np.flatnonzero(_windowless(stack, hardware)[index])
    if len(windowless):
        layer = int(windowless[0])
        return (
            f"layer {layer + 1}: kernel {stack.kernel[index, layer]} is larger than its "
            f"{stack.side[index, layer]}x{stack.side[index, layer]} map, which pad 'stock' cannot "
            "count; use pad 'same' or a smaller kernel"
        )
    return _too_narrow(plan, stack, hardware, index)


def _too_narrow(plan: Floorplan, stack: Stack, hardware: Hardware, index: int) -> str:
    size = hardware.subarray
    cells = -(-8 // hardware.cell_bits)
    widest, needed = int(plan.widest[index]), int(plan.needed)
    channels = needed // cells // 2 + 1
    if hardware.mapping == "conventional":
        return (
            f"the widest layer takes {widest} columns, below the {needed} (4 subarrays of {size}) "
            f"of a tile; give one layer {channels} or more channels, or take a smaller subarray"
        )
    kernel = int(plan.frequent_kernel[index])
    members = np.flatnonzero(plan.novel[:, index])
    if not len(members):
        return (
            f"no layer can be mapped by kernel position: none with kernel {kernel}, the most "
            f"frequent, has Cin*K^2 >= {size} rows; take mapping conventional, a smaller subarray "
            "or more channels"
        )
    layer = int(members[stack.out_channels[index, members].argmax()])
    return (
        f"layer {layer + 1}, the widest of those mapped by kernel position (kernel {kernel}), has "
        f"{stack.out_channels[index, layer]} channels = {widest} columns rounded up to 2^n, below "
        f"the {needed} (2 subarrays of {size}) of a PE; give it {channels} or more channels, or "
        "take a smaller subarray, fewer cell bits or mapping conventional"
    )
