"""Who the simulator is: a digest of what it answers, not of how its code is written.

Runs are comparable when it is equal. It covers the table of circuit constants, the costs of fixed
pairs of design and hardware, and the keys of fixed accuracy questions; a comment, a new name or a
faster way to the same numbers leaves it as it is.
"""

import gzip
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import product
from random import Random
from typing import TypeVar, get_args

import numpy as np

from cim_sim import cost
from cim_sim.config import digest
from cim_sim.hardware import (
    AdcLevels,
    Device,
    FixedHardware,
    Hardware,
    Mapping,
    Pad,
    Subarray,
    cell_bits_of,
)
from cim_sim.scenario import EnergyObjective, Scenario
from cim_sim.space import ConvChoice, Design, Space
from cim_sim.variation import StateDependence, Variation
from cim_sim.workload import Workload

SETTINGS = 2
"""Hardware settings for each mapping and pad rule."""
DESIGNS = 25
"""Designs on each setting."""
CHANNELS, KERNELS = (16, 24, 32, 36, 48, 64, 96, 128, 256, 512), (1, 3, 5, 7)
"""Choices of all the committed spaces together."""
COSTS = ("latency_ns", "dynamic_energy_pj", "leakage_energy_pj", "area_um2", "utilisation")
DIGITS = 9
"""Significant digits that count: the last ones differ between processors and builds of NumPy."""

ChoiceT = TypeVar("ChoiceT")


@cache
def simulator_digest() -> str:
    """Digest of constants, costs and accuracy keys; equal on all machines.

    Costs are those of random networks on 16x16 images at 22 nm. It does not see how networks are
    trained and tested: whoever changes that gives the `Query` a field, so that keys change.
    """
    packed = files("cim_sim.cost") / "data" / "circuit_constants.csv.gz"
    constants = sha256(gzip.decompress(packed.read_bytes())).hexdigest()
    rng = Random(0)  # of its methods, `random` alone is promised to stay as it is
    costs = [
        _costs(_setting(mapping, pad, rng), rng)
        for mapping, pad in product(get_args(Mapping), get_args(Pad))
        for _ in range(SETTINGS)
    ]
    return digest([constants, costs, _accuracy_keys()])


def _setting(mapping: Mapping, pad: Pad, rng: Random) -> Hardware:
    device: Device = _pick(get_args(Device), rng)
    return Hardware(
        device=device,
        subarray=_pick(get_args(Subarray), rng),
        cell_bits=_pick(cell_bits_of(device), rng),
        adc_levels=_pick(get_args(AdcLevels), rng),
        mapping=mapping,
        pad=pad,
    )


def _costs(hardware: Hardware, rng: Random) -> list[list[str]]:
    """Costs of random networks, rounded, as text; `nan` where there is no floorplan."""
    pairs = [
        [(_pick(CHANNELS, rng), _pick(KERNELS, rng)) for _ in range(6)] for _ in range(DESIGNS)
    ]
    layers = np.array(pairs, dtype=np.int64)
    batch = cost.evaluate(Workload().stack_of(layers[:, :, 0], layers[:, :, 1]), hardware)
    return [[f"{value:.{DIGITS}g}" for value in getattr(batch, name)] for name in COSTS]


def _accuracy_keys() -> list[str]:
    """Keys of what scenarios with different variation ask about one design."""
    space = Space(name="identity", channels=(32, 64), kernels=(3, 5), width_divisor=4)
    design = Design(layers=(ConvChoice(32, 3), ConvChoice(64, 5)) * 3)
    hardware = FixedHardware(subarray=128, cell_bits=2, adc_levels=32, mapping="novel")
    scenarios = [
        Scenario(
            name="identity",
            hardware=hardware,
            variation=Variation(cell_sigma=0.05, state_dependence=dependence),
            objective=EnergyObjective(metric="energy"),
        )
        for dependence in get_args(StateDependence)
    ]
    return [scenario.query(design, space, seed=0).key for scenario in scenarios]


def _pick(choices: Sequence[ChoiceT], rng: Random) -> ChoiceT:
    return choices[int(rng.random() * len(choices))]
