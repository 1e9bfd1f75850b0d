"""Pipeline mode: every layer works on an image of its own, and slow layers get more tiles.

NeuroSim multiplies the tiles of layers on large maps until no layer waits long for another. An
image then comes out per interval of the slowest layer, which is what it reports as latency.
Source: DNN+NeuroSim V1.3, of which every total of the 13 reference rows is met within 1 %.
"""

from dataclasses import replace

import numpy as np

from cim_sim.cost.activity import synthetic_activity
from cim_sim.cost.breakdown import CostBatch
from cim_sim.cost.energy import chip_sum_energy, dynamic_energy_pj
from cim_sim.cost.hierarchy import Chip, build
from cim_sim.cost.interconnect import global_bus_bits
from cim_sim.cost.latency import latency_cycles
from cim_sim.cost.layers import Layers, in_order, layers_of
from cim_sim.cost.leakage import tile_leakage_uw
from cim_sim.cost.mapping import Floorplan, floorplan
from cim_sim.cost.placement import place
from cim_sim.cost.setting import setting
from cim_sim.hardware import Hardware
from cim_sim.types import Floats
from cim_sim.workload import Stack

SPEED_UP_DEGREE = 8
"""NeuroSim's default: how much faster than its map allows the first layer may have to be."""


def evaluate_pipelined(
    stack: Stack,
    hardware: Hardware,
    speed_up_degree: int = SPEED_UP_DEGREE,
    planes: Floats | None = None,
) -> CostBatch:
    """Cost a batch in pipeline mode; `latency_ns` is the interval between images.

    Args:
        stack: the designs; batches of any size are worked on at once.
        hardware: their setting.
        speed_up_degree: largest ratio between maps that extra tiles are to even out.
        planes: measured activity, as `breakdown` takes it.

    Raises:
        UsageError: as `evaluate`.
    """
    layers, here = layers_of(stack, hardware), setting(hardware)
    plan = floorplan(layers, hardware)
    spread = _spread(layers, plan, speed_up_degree)
    chip = _pipelined(build(layers, spread, here), spread)
    placed = place(layers, spread, chip)
    once = place(layers, replace(spread, tile_rows=plan.tile_rows), chip)
    interval = in_order(latency_cycles(placed) * here.constants.clock_ns)
    activity = synthetic_activity(layers) if planes is None else planes
    # Extra tiles share the input vectors; only the sums of tiles run over all of them.
    dynamic = in_order(dynamic_energy_pj(once, activity))
    dynamic = dynamic + chip_sum_energy(placed) - chip_sum_energy(once)
    slowest = interval.max(axis=0)
    leakage = tile_leakage_uw(placed) * spread.tiles * (slowest - interval) * 1e-3
    hidden = np.where(plan.feasible, 0.0, np.nan)
    return CostBatch(
        feasible=plan.feasible,
        latency_ns=slowest + hidden,
        dynamic_energy_pj=in_order(dynamic) + hidden,
        leakage_energy_pj=in_order(leakage) + hidden,
        area_um2=in_order(chip.area_um2) + hidden,
        utilisation=spread.utilisation + hidden,
        clock_ns=here.constants.clock_ns + hidden,
        tiles=chip.tiles + hidden,
    )


def _spread(layers: Layers, plan: Floorplan, speed_up_degree: int) -> Floorplan:
    """Multiply the tile rows of layers that need more copies than they have.

    A layer on an H x H map needs (H / target)^2 copies, rounded up, with target the largest map
    over the speed-up degree; the degree is at most the ratio of largest to smallest map. Maps of
    layers above 1x1 count.
    """
    wide = layers.kernel > 1
    largest = np.where(wide, layers.side, 0).max(axis=0)
    smallest = np.where(wide, layers.side, np.inf).min(axis=0)
    degree = np.clip(largest / smallest, 1, speed_up_degree)
    target = np.ceil(np.maximum(largest, 1) / degree)
    needed = np.where(largest > 0, np.ceil((layers.side / target) ** 2), 1)
    times = np.maximum(1, np.ceil(needed / plan.copies))
    return replace(plan, tile_rows=plan.tile_rows * times, speedup_rows=plan.speedup_rows * times)


def _pipelined(chip: Chip, plan: Floorplan) -> Chip:
    """Widen what layers share: they all use it at the same time.

    The bus counts every tile; with novel tiles units count as the bus does, and the global adders
    are wider by the mux. Both from the module dumps, at mux 8.
    """
    mux = chip.setting.mux
    kernel_side = np.ceil(np.sqrt(plan.positions))
    width = np.where(plan.novel, kernel_side * plan.novel_pe, plan.tile)
    grow = np.where(plan.has_novel, mux + 1, 1)
    wider = np.ceil(np.log2(mux)) + np.where(plan.has_novel, 0, 1)
    return replace(
        chip,
        bus_bits=global_bus_bits(in_order(plan.tiles * width) * (1 + 1 / mux)),
        units=chip.units * grow,
        extra_bits=chip.extra_bits + wider,
    )
