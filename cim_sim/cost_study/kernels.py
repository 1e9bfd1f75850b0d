"""The paper's 5x5 question: cost against kernel size for uniform kernels.

LCDA argues that 5x5 kernels fill a crossbar badly. Whether they do depends on channels, array,
mapping and the rule that counts input vectors; this sweep varies them all.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np

from cim_sim.cost import CostBatch, evaluate
from cim_sim.hardware import Hardware, Mapping, Pad, Subarray
from cim_sim.workload import CIFAR10

KERNELS = (1, 3, 5, 7)
CHANNELS = (24, 32, 48, 64, 96, 128)
METRICS = (
    ("utilisation", "utilisation"),
    ("latency_ns", "latency [ns]"),
    ("energy_pj", "energy [pJ]"),
)


@dataclass(frozen=True)
class Curve:
    """One setting: six convolutions of equal channels, and all kernels equal, one to a point."""

    channels: int
    hardware: Hardware
    costs: CostBatch
    """Arrays are [kernels]."""

    @property
    def five_fills_worst(self) -> bool:
        """Whether 5x5 has the lowest utilisation of 3x3, 5x5 and 7x7."""
        three, five, seven = self.costs.utilisation[1:]
        return bool(five < min(three, seven))

    @property
    def five_is_slowest(self) -> bool:
        """Whether 5x5 has the highest latency of 3x3, 5x5 and 7x7."""
        three, five, seven = self.costs.latency_ns[1:]
        return bool(five > max(three, seven))

    @property
    def feasible(self) -> bool:
        """Whether 3x3, 5x5 and 7x7 all have a floorplan."""
        return bool(self.costs.feasible[1:].all())


def sweep() -> list[Curve]:
    """Cost all settings."""
    kernels = np.tile(np.array(KERNELS)[:, None], (1, 6))
    stacks = {one: CIFAR10.stack_of(np.full_like(kernels, one), kernels) for one in CHANNELS}
    settings = [
        Hardware(subarray=subarray, mapping=mapping, pad=pad)
        for subarray, mapping, pad in product(get_args(Subarray), get_args(Mapping), get_args(Pad))
    ]
    pairs = product(CHANNELS, settings)
    return [Curve(one, hardware, evaluate(stacks[one], hardware)) for one, hardware in pairs]


def answer(curves: list[Curve]) -> dict[str, Any]:
    """Count, for each mapping and pad rule, where 5x5 is the worst of 3x3, 5x5 and 7x7."""
    table: dict[str, Any] = {}
    for mapping, pad in product(get_args(Mapping), get_args(Pad)):
        mine = [
            one
            for one in curves
            if one.feasible and (one.hardware.mapping, one.hardware.pad) == (mapping, pad)
        ]
        table[f"{mapping}, {pad}"] = {
            "settings": len(mine),
            "5x5 fills worst": sum(one.five_fills_worst for one in mine),
            "5x5 slowest": sum(one.five_is_slowest for one in mine),
        }
    return table


def draw(curves: list[Curve], out: Path) -> None:
    """Draw utilisation, latency and energy over kernel size, a column for each mapping and pad."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    columns = list(product(get_args(Mapping), get_args(Pad)))
    figure, panels = plt.subplots(3, 4, figsize=(11, 7.2), sharex=True, sharey="row")
    colours = dict(zip(CHANNELS, plt.get_cmap("viridis")(np.linspace(0, 0.9, 6)), strict=True))
    styles = {64: ":", 128: "-", 256: "--"}
    for curve in curves:
        column = columns.index((curve.hardware.mapping, curve.hardware.pad))
        for row, (metric, label) in enumerate(METRICS):
            panel = panels[row][column]
            panel.plot(
                KERNELS,
                getattr(curve.costs, metric),
                styles[curve.hardware.subarray],
                color=colours[curve.channels],
                linewidth=1.1,
                marker=".",
            )
            if column == 0:
                panel.set_ylabel(label)
            if row > 0:
                panel.set_yscale("log")
    for (mapping, pad), panel in zip(columns, panels[0], strict=True):
        panel.set_title(f"{mapping}, pad {pad}", fontsize=10)
    for panel in panels[2]:
        panel.set_xticks(KERNELS, [f"{kernel}x{kernel}" for kernel in KERNELS])
    lines = [plt.Line2D([], [], color=colours[c], label=f"{c} channels") for c in CHANNELS]
    lines += [
        plt.Line2D([], [], color="grey", linestyle=s, label=f"array {n}") for n, s in styles.items()
    ]
    figure.legend(handles=lines, loc="lower center", ncol=9, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.035, 1, 1))
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)
    plt.close(figure)
