"""The public verbs of the cost model: `evaluate`, `breakdown`, `floorplan_fault`."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from cim_sim.cost.breakdown import CostBatch, breakdown
from cim_sim.cost.layers import Layers, cells_per_weight, layers_of
from cim_sim.cost.mapping import Floorplan, floorplan
from cim_sim.hardware import Hardware
from cim_sim.types import Ints
from cim_sim.workload import Stack

CHUNK = 2048
"""Designs worked on at a time, so that the arrays of one step stay in the processor's cache."""


def evaluate(stack: Stack, hardware: Hardware) -> CostBatch:
    """Cost a batch of designs on one hardware setting.

    Raises:
        UsageError: the table of constants does not hold the setting; lists the nearest ones.
    """
    starts = range(0, max(len(stack), 1), CHUNK)
    return _joined([breakdown(stack[at : at + CHUNK], hardware).totals for at in starts])


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
        None if fits else _fault(layers, plan, hardware, index)
        for index, fits in enumerate(plan.feasible)
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


def _joined(parts: Sequence[CostBatch], order: Ints | slice = slice(None)) -> CostBatch:
    names = [field.name for field in fields(CostBatch)]
    return CostBatch(*(np.concatenate([getattr(p, n) for p in parts])[order] for n in names))


def _fault(layers: Layers, plan: Floorplan, hardware: Hardware, index: int) -> str:
    """Say why one design has no floorplan."""
    windowless = np.flatnonzero(layers.windowless[:, index])
    if len(windowless):
        layer = int(windowless[0])
        side, kernel = int(layers.side[layer, index]), int(layers.kernel[layer, index])
        return (
            f"layer {layer + 1}: kernel {kernel} is larger than its {side}x{side} map, which pad "
            "'stock' cannot count; use pad 'same' or a smaller kernel"
        )
    size, kernel = hardware.subarray, int(plan.frequent_kernel[index])
    widest, needed = int(plan.widest[index]), int(plan.needed)
    channels = needed // cells_per_weight(hardware) // 2 + 1
    if hardware.mapping == "conventional":
        return (
            f"the widest layer takes {widest} columns, below the {needed} (4 subarrays of {size}) "
            f"of a tile; give one layer {channels} or more channels, or take a smaller subarray"
        )
    members = np.flatnonzero(plan.novel[:, index])
    if not len(members):
        return (
            f"no layer can be mapped by kernel position: none with kernel {kernel}, the most "
            f"frequent, has Cin*K^2 >= {size} rows; take mapping conventional, a smaller subarray "
            "or more channels"
        )
    layer = int(members[layers.out_channels[members, index].argmax()])
    return (
        f"layer {layer + 1}, the widest of those mapped by kernel position (kernel {kernel}), has "
        f"{layers.out_channels[layer, index]:.0f} channels = {widest} columns rounded up to 2^n, "
        f"below the {needed} (2 subarrays of {size}) of a PE; give it {channels} or more channels, "
        "or take a smaller subarray, fewer cell bits or mapping conventional"
    )
