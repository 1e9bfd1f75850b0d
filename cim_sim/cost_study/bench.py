"""How fast the cost model is, beside NeuroSim's own run time."""

import resource
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cim_sim.cost.breakdown import breakdown
from cim_sim.cost.chip import evaluate
from cim_sim.hardware import Hardware
from cim_sim.workload import CIFAR10

NEUROSIM_CPU_SECONDS = (7.0, 66.0)
"""CPU time of DNN+NeuroSim V1.3 for one design of this family, fastest and slowest measured."""
CHANNELS = (16, 24, 32, 48, 64, 96, 128)
KERNELS = (1, 3, 5, 7)
"""Choices of the embedded space."""


class Timing(NamedTuple):
    """Rates per second of CPU time of one core, medians over repeats."""

    designs_per_second: float
    breakdowns_per_second: float
    single_design_ms: float
    memory_mb: float


def bench(batch: int = 10_000, repeats: int = 10, seed: int = 0) -> Timing:
    """Time random designs of the embedded space on the default hardware."""
    rng = np.random.default_rng(seed)
    shape = (batch, 6)
    stack = CIFAR10.stack_of(rng.choice(CHANNELS, shape), rng.choice(KERNELS, shape))
    hardware = Hardware()
    single: list[float] = [
        _seconds(lambda row=row: evaluate(stack[row : row + 1], hardware))  # type: ignore[misc]
        for row in range(min(batch, 50))
    ]
    return Timing(
        designs_per_second=batch / _median(lambda: evaluate(stack, hardware), repeats),
        breakdowns_per_second=batch / _median(lambda: breakdown(stack, hardware), repeats),
        single_design_ms=1e3 * float(np.median(single)),
        memory_mb=_peak_memory_mb(),
    )


def _median(work: Callable[[], object], repeats: int) -> float:
    return float(np.median([_seconds(work) for _ in range(repeats)]))


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
