"""Why a design costs what it costs, and why another one differs: findings from the breakdown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cim_sim.cost.breakdown import AREA_COMPONENTS, COMPONENTS, Breakdown, breakdown
from cim_sim.cost.chip import floorplan_fault
from cim_sim.cost.latency import bus_share
from cim_sim.cost.layers import in_order
from cim_sim.cost.mapping import Floorplan
from cim_sim.hardware import Hardware
from cim_sim.scenario import Scenario
from cim_sim.space import Design
from cim_sim.types import Floats
from cim_sim.workload import Stack

NOTABLE_SHARE = 0.15
"""A layer or a change below this share of the whole is not worth a sentence."""
UNITS = {"latency": ("us", 1e-3), "energy": ("uJ", 1e-6), "area": ("mm2", 1e-6)}


@dataclass(frozen=True)
class Finding:
    """One fact. Numbers first: `text` only puts them into words."""

    kind: str
    """`latency`, `energy`, `area`, `utilisation`, `infeasible`, `layer`, `mapping`,
    `duplication`, `bus_share`, `tiles`, `work`, `frequent_kernel` or `clock`."""
    text: str
    layer: int | None = None
    """Counted from 1; None: the whole design."""
    before: float | None = None
    after: float | None = None


@dataclass(frozen=True)
class Costed:
    """One design with all parts of its cost."""

    stack: Stack
    hardware: Hardware
    parts: Breakdown
    fault: str | None

    @property
    def plan(self) -> Floorplan:
        """Mapping, tiles and copies; arrays of layers are [layers, 1]."""
        return self.parts.placement.plan

    @property
    def latency_ns(self) -> Floats:
        """Latency of each layer."""
        return in_order(self.parts.latency_ns)[:, 0]

    @property
    def energy_pj(self) -> Floats:
        """Dynamic and leakage energy of each layer."""
        return self.parts.energy_pj[:, 0]

    def name(self, layer: int) -> str:
        """Return a layer's name: `layer 2 (64 channels, 3x3)`."""
        kernel, channels = self.stack.kernel[0, layer], self.stack.out_channels[0, layer]
        if layer >= self.stack.side.shape[1] - 2:
            return f"layer {layer + 1} (fully connected, {channels} outputs)"
        return f"layer {layer + 1} ({channels} channels, {kernel}x{kernel})"

    def mapping(self, layer: int) -> str:
        """Return a layer's mapping and, where it fell back, which condition it fails."""
        if self.plan.novel[layer, 0]:
            return "mapped by kernel position"
        if self.hardware.mapping == "conventional":
            return "mapped conventionally"
        kernel, frequent = int(self.stack.kernel[0, layer]), int(self.plan.frequent_kernel[0])
        rows = int(self.stack.in_channels[0, layer]) * kernel**2
        why = f"{rows} rows do not fill a subarray of {self.hardware.subarray}"
        if kernel != frequent:
            why = f"kernel {kernel} is not {frequent}, the network's most frequent"
        return f"mapped conventionally: its {why}"


Numbers = tuple[tuple[str, str, Callable[[Costed], NDArray[Any]]], ...]
"""Kind of finding, words, and where the number stands: [designs] or [layers, designs]."""


def cost_in_parts(design: Design, scenario: Scenario) -> Costed:
    """Cost one design of a scenario and keep all parts."""
    stack, hardware = scenario.workload.stack([design]), scenario.complete(design)
    return Costed(stack, hardware, breakdown(stack, hardware), floorplan_fault(stack, hardware)[0])


def explain(design: Design, scenario: Scenario) -> list[Finding]:
    """Say where latency, energy and area of a design come from."""
    one = cost_in_parts(design, scenario)
    if one.fault is not None:
        return [Finding("infeasible", f"no floorplan: {one.fault}")]
    parts, totals = one.parts, one.parts.totals
    energy_pj = np.append(_summed(parts.dynamic_energy_pj), totals.leakage_energy_pj)
    used = float(totals.utilisation[0])
    return [
        _shares("latency", totals.latency_ns, _summed(parts.latency_ns), COMPONENTS),
        _shares("energy", totals.energy_pj, energy_pj, (*COMPONENTS, "leakage")),
        _shares("area", totals.area_um2, _summed(parts.area_um2), AREA_COMPONENTS),
        Finding(
            "utilisation",
            f"weights fill {_percent(used)} of {int(totals.tiles[0])} tiles",
            after=used,
        ),
        *_layers(one),
    ]


def compare(a: Design, b: Design, scenario: Scenario) -> list[Finding]:
    """Say how B differs from A in cost and why, from their breakdowns; largest effects first.

    Of the layers, those that change latency or energy by 15 % of A's whole, or whose mapping
    changes, are named with their causes.
    """
    one, two = cost_in_parts(a, scenario), cost_in_parts(b, scenario)
    faults = [
        Finding("infeasible", f"{name} has no floorplan: {side.fault}")
        for name, side in (("A", one), ("B", two))
        if side.fault is not None
    ]
    if faults:
        return faults
    return _totals(one, two) + _design_causes(one, two) + _layer_causes(one, two)


def _totals(one: Costed, two: Costed) -> list[Finding]:
    totals, findings = [side.parts.totals for side in (one, two)], []
    for kind, name, parts, labels in (
        ("latency", "latency_ns", "latency_ns", COMPONENTS),
        ("energy", "energy_pj", "dynamic_energy_pj", (*COMPONENTS, "leakage")),
        ("area", "area_um2", "area_um2", AREA_COMPONENTS),
    ):
        before, after = (float(getattr(total, name)[0]) for total in totals)
        small, large = (_summed(getattr(side.parts, parts)) for side in (one, two))
        if kind == "energy":
            leaks = (total.leakage_energy_pj for total in totals)
            small, large = (np.append(*pair) for pair in zip((small, large), leaks, strict=True))
        moved = large - small
        most = int(np.abs(moved).argmax())
        text = f"{kind} {_change(kind, before, after)}"
        if before != after:
            words = "most of it" if 2 * moved[most] / (after - before) >= 1 else "most of all"
            text += f", {words} {labels[most]}: {_change(kind, small[most], large[most])}"
        findings.append(Finding(kind, text, before=before, after=after))
    before, after = (float(total.utilisation[0]) for total in totals)
    text = f"utilisation {before:.2f} -> {after:.2f}"
    return [*findings, Finding("utilisation", text, before=before, after=after)]


def _design_causes(one: Costed, two: Costed) -> list[Finding]:
    """What changes for all layers together; the most frequent kernel where it decides a mapping."""
    matters = one.plan.novel.any() or two.plan.novel.any()
    found = _changed(_DESIGN_NUMBERS, one, two, (0,))
    return [finding for finding in found if matters or finding.kind != "frequent_kernel"]


def _layer_causes(one: Costed, two: Costed) -> list[Finding]:
    if one.stack.side.shape != two.stack.side.shape:
        return []
    slower = two.latency_ns - one.latency_ns
    dearer = two.energy_pj - one.energy_pj
    weight = np.maximum(np.abs(slower) / one.latency_ns.sum(), np.abs(dearer) / one.energy_pj.sum())
    remapped = one.plan.novel[:, 0] != two.plan.novel[:, 0]
    named = [layer for layer in np.argsort(-weight) if weight[layer] >= NOTABLE_SHARE]
    named += [layer for layer in np.flatnonzero(remapped) if layer not in named]
    return [finding for layer in named for finding in _layer_change(one, two, int(layer))]


def _layer_change(one: Costed, two: Costed, layer: int) -> list[Finding]:
    """One layer's change of latency and energy, then what in its breakdown changed with it."""
    before, after = float(one.latency_ns[layer]), float(two.latency_ns[layer])
    change = _change("energy", float(one.energy_pj[layer]), float(two.energy_pj[layer]))
    text = f"{two.name(layer)}: latency {_change('latency', before, after)}, energy {change}"
    findings = [Finding("layer", text, layer + 1, before, after)]
    kinds = [float(side.plan.novel[layer, 0]) for side in (one, two)]
    if kinds[0] != kinds[1]:
        words = f"{one.mapping(layer)} -> {two.mapping(layer)}"
        findings.append(Finding("mapping", words, layer + 1, *kinds))
    return findings + _changed(_LAYER_NUMBERS, one, two, (layer, 0), layer + 1)


def _changed(
    numbers: Numbers, one: Costed, two: Costed, place: tuple[int, ...], layer: int | None = None
) -> list[Finding]:
    """Of numbers, those that differ at a place of their arrays."""
    findings = []
    for kind, words, value in numbers:
        before, after = (float(value(side)[place]) for side in (one, two))
        if before != after:
            text = f"{words} {before:.4g} -> {after:.4g}"
            findings.append(Finding(kind, text, layer, before, after))
    return findings


_DESIGN_NUMBERS: Numbers = (
    ("frequent_kernel", "the most frequent kernel", lambda side: side.plan.frequent_kernel),
    ("tiles", "tiles on the chip", lambda side: side.parts.totals.tiles),
    ("clock", "clock period in ns", lambda side: side.parts.totals.clock_ns),
)
WAITS = "waits for the global buffer, all tiles over its own:"
_LAYER_NUMBERS: Numbers = (
    ("duplication", "duplication", lambda side: side.plan.copies),
    ("tiles", "tiles", lambda side: side.plan.tiles),
    ("bus_share", WAITS, lambda side: bus_share(side.parts.placement)),
    ("utilisation", "utilisation", lambda side: side.plan.layer_utilisation),
    ("work", "weights", lambda side: side.stack.weights.T),
)


def _layers(one: Costed) -> list[Finding]:
    """The layers that take most of latency or energy, and how they are mapped."""
    findings, plan, waits = [], one.plan, bus_share(one.parts.placement)
    time, power = one.latency_ns / one.latency_ns.sum(), one.energy_pj / one.energy_pj.sum()
    for layer in np.flatnonzero(np.maximum(time, power) >= NOTABLE_SHARE):
        parts = one.parts.latency_ns[:, layer, 0]
        most = int(parts.argmax())
        text = (
            f"{one.name(layer)}: {_percent(time[layer])} of latency "
            f"({_percent(parts[most] / parts.sum())} of it {COMPONENTS[most]}), "
            f"{_percent(power[layer])} of energy; {one.mapping(layer)}; "
            f"duplication {plan.copies[layer, 0]:.0f}, {plan.tiles[layer, 0]:.0f} of "
            f"{one.parts.totals.tiles[0]:.0f} tiles, so bus share 1/{waits[layer, 0]:.0f}; "
            f"utilisation {plan.layer_utilisation[layer, 0]:.2f}"
        )
        findings.append(Finding("layer", text, int(layer) + 1, after=float(one.latency_ns[layer])))
    return findings


def _shares(kind: str, totals: Floats, parts: Floats, labels: Sequence[str]) -> Finding:
    total, order = float(totals[0]), np.argsort(-parts)
    shares = ", ".join(f"{labels[at]} {_percent(parts[at] / total)}" for at in order)
    return Finding(kind, f"{kind} {_amount(kind, total)}: {shares}", after=total)


def _summed(parts: Floats) -> Floats:
    """Components of one design, summed over its layers where they are split so."""
    return np.asarray(parts.reshape(len(parts), -1).sum(axis=1))


def _change(kind: str, before: float, after: float) -> str:
    ratio = f" (x{after / before:.2f})" if before > 0 else ""
    return f"{_amount(kind, before)} -> {_amount(kind, after)}{ratio}"


def _amount(kind: str, value: float) -> str:
    unit, factor = UNITS[kind]
    return f"{value * factor:.4g} {unit}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
