"""Does the model say what DNN+NeuroSim says? Row by row, against stated tolerances."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cim_sim.config import UsageError
from cim_sim.cost.breakdown import Breakdown, CostBatch, breakdown
from cim_sim.cost.chip import evaluate
from cim_sim.cost_study import reference
from cim_sim.cost_study.pipeline import evaluate_pipelined
from cim_sim.cost_study.reference import Case
from cim_sim.hardware import Hardware
from cim_sim.types import Floats
from cim_sim.workload import CIFAR10

QUANTITIES = (
    "latency",
    "area",
    "dynamic_energy",
    "leakage_energy",
    "dynamic_energy_synthetic",
)
"""Compared as relative errors. Dynamic energy is computed from the bit statistics that each row
records of its own trace; `dynamic_energy_synthetic` from the closed form that `evaluate` uses."""

LATENCY_LIMIT = {22: 1e-6, 32: 2e-3, 45: 2e-3}
AREA_LIMIT = 2e-4
"""Largest relative error that is let pass, of latency for each node in nm."""
ENERGY_LIMITS = {
    "dynamic_energy": {"median": 1e-3, "p99": 1e-2, "max": 7e-2},
    "dynamic_energy_synthetic": {"median": 3e-3, "p99": 3e-2, "max": 7e-2},
    "leakage_energy": {"median": 1e-5, "p99": 1e-4, "max": 3e-3},
}
"""The same for energies, by statistic over all rows."""
PIPELINE_LIMIT = 2e-2
"""For every quantity of pipeline mode."""


Setting = tuple[Hardware, int | None]
"""Hardware and, in pipeline mode, the speed-up degree."""
Pair = tuple[str, Any, Any]
"""Name of a number, ours, and the reference's."""


@dataclass(frozen=True)
class Comparison:
    """One row compared: what should be equal and is not, and relative errors."""

    case: Case
    unequal: tuple[str, ...]
    """Floorplan numbers that differ, in words."""
    errors: dict[str, float]
    """Relative error by quantity; without those that the row cannot tell."""


@dataclass(frozen=True)
class Report:
    """Outcome of a validation."""

    rows: int
    comparisons: list[Comparison]
    """Layer by layer."""
    pipelined: list[Comparison]
    skipped: dict[str, int]

    @property
    def failures(self) -> list[str]:
        """What is beyond tolerance, in words; empty if all is well."""
        both = [*self.comparisons, *self.pipelined]
        wrong = [f"{one.case.chip['id']}: {fault}" for one in both for fault in one.unequal]
        for one in both:
            wrong += [
                f"{one.case.chip['id']}: {name} off by {one.errors[name]:.2e} > {limit:g}"
                for name, limit in _limits(one.case).items()
                if not one.errors.get(name, 0) <= limit
            ]
        spreads = statistics(self.comparisons)
        wrong += [
            f"{quantity.replace('_', ' ')}: {name} error {spreads[quantity][name]:.2e} > {limit:g}"
            for quantity, limits in ENERGY_LIMITS.items()
            for name, limit in limits.items()
            if spreads[quantity]["rows"] and not spreads[quantity][name] <= limit
        ]
        return wrong

    def summary(self) -> dict[str, Any]:
        """Everything that the last line of the command says."""
        return {
            "rows": self.rows,
            "compared": len(self.comparisons),
            "skipped": self.skipped,
            "unequal": sum(bool(one.unequal) for one in self.comparisons),
            "errors": statistics(self.comparisons),
            "pipelined": len(self.pipelined),
            "pipelined_errors": statistics(self.pipelined),
            "passed": not self.failures,
        }


def validate(folder: Path | None = None) -> Report:
    """Compare the model with all rows of a folder (default: the data in the package).

    Raises:
        UsageError: the folder lacks a file or a column.
    """
    cases, skipped, rows = reference.read(folder or reference.packaged())
    groups: dict[Setting, list[Case]] = {}
    for case in cases:
        groups.setdefault((case.hardware, case.speed_up_degree), []).append(case)
    try:
        compared = [one for cases in groups.values() for one in _compare(cases)]
    except KeyError as missing:
        raise UsageError(reference.no_column(folder, missing)) from None
    pipelined = [one for one in compared if one.case.speed_up_degree is not None]
    comparisons = [one for one in compared if one.case.speed_up_degree is None]
    untrusted = sum(one.case.out_of_bounds for one in comparisons)
    if untrusted:
        skipped["energy of rows that the program read out of bounds"] = untrusted
    return Report(rows, comparisons, pipelined, skipped)


def statistics(comparisons: Iterable[Comparison]) -> dict[str, dict[str, float]]:
    """Rows, median, 99th percentile and maximum of every quantity's relative error."""
    table = {}
    comparisons = list(comparisons)
    for name in QUANTITIES:
        errors = [one.errors[name] for one in comparisons if name in one.errors]
        median, p99, most = np.quantile(errors or [0.0], [0.5, 0.99, 1.0]).tolist()
        table[name] = {"rows": len(errors), "median": median, "p99": p99, "max": most}
    return table


def _limits(case: Case) -> dict[str, float]:
    """Tolerances that hold for every single row."""
    if case.speed_up_degree is None:
        return {"latency": LATENCY_LIMIT[case.hardware.node_nm], "area": AREA_LIMIT}
    return dict.fromkeys(("latency", "area", "dynamic_energy", "leakage_energy"), PIPELINE_LIMIT)


def _compare(cases: Sequence[Case]) -> Iterator[Comparison]:
    """Compare rows of equal setting; of pipeline mode the totals only."""
    hardware, degree = cases[0].hardware, cases[0].speed_up_degree
    stack, planes = CIFAR10.stack([case.design for case in cases]), _planes(cases)
    if degree is not None:
        synthetic = evaluate_pipelined(stack, hardware, degree)
        ours = evaluate_pipelined(stack, hardware, degree, planes)
        for row, case in enumerate(cases):
            yield _compared(case, synthetic, ours, row, _total_pairs(case, ours, row))
        return
    synthetic, parts = evaluate(stack, hardware), breakdown(stack, hardware, planes)
    for row, case in enumerate(cases):
        yield _compared(case, synthetic, parts.totals, row, _floorplan_pairs(case, parts, row))


def _compared(
    case: Case, synthetic: CostBatch, ours: CostBatch, row: int, pairs: Iterable[Pair]
) -> Comparison:
    """Compare one row; `ours` saw the activity that the row records, `pairs` should be equal."""
    feasible = bool(ours.feasible[row])
    if feasible != case.valid:
        return Comparison(case, (f"feasible {feasible}, reference {case.valid}",), {})
    if not case.valid:
        return Comparison(case, (), {})
    return Comparison(case, _differences(pairs), _errors(case, synthetic, ours, row))


def _planes(cases: Sequence[Case]) -> Floats | None:
    """Activity of all rows, [7, layers, designs]; rows without layers get zeros (not compared)."""
    found = [case.planes for case in cases]
    known = [planes for planes in found if planes is not None]
    if not known or any(
        planes is None and case.valid for planes, case in zip(found, cases, strict=True)
    ):
        return None
    blank = np.zeros_like(known[0])
    return np.stack([blank if planes is None else planes for planes in found], axis=2)


def _total_pairs(case: Case, ours: CostBatch, row: int) -> Iterator[Pair]:
    yield "tiles", ours.tiles[row], case.chip["totalNumTile"]
    yield "utilisation", ours.utilisation[row], case.chip["memUtil"]


def _floorplan_pairs(case: Case, ours: Breakdown, row: int) -> Iterator[Pair]:
    """What a row says of its floorplan; computed where both sides have one."""
    plan, tree = ours.placement.plan, ours.placement.chip.plain_htree
    novel, tiles = plan.novel[:, row], plan.tiles[:, row]
    yield from _total_pairs(case, ours.totals, row)
    yield from (
        ("tile side", plan.tile[row], case.chip["desiredTileSizeCM"]),
        ("PE side", plan.pe[row], case.chip["desiredPESizeCM"]),
        ("novel tiles", tiles[novel].sum(), case.chip["desiredNumTileNM"]),
        ("conventional tiles", tiles[~novel].sum(), case.chip["desiredNumTileCM"]),
        ("tile grid rows", tree.rows[row], case.chip["numTileRow"]),
        ("tile grid columns", tree.cols[row], case.chip["numTileCol"]),
    )
    if case.hardware.mapping == "novel":
        yield "novel PE side", plan.novel_pe[row], case.chip["desiredPESizeNM"]
        yield "PEs of a novel tile", plan.frequent_kernel[row] ** 2, case.chip["numPENM"]
    for number, layer in enumerate(case.layers):
        for name, values, column in (
            ("mapped by kernel position", plan.novel, "markNM"),
            ("tile rows", plan.tile_rows, "numTileRowL"),
            ("tile columns", plan.tile_cols, "numTileColL"),
            ("copies along rows", plan.speedup_rows, "speedUpRow"),
            ("copies along columns", plan.speedup_cols, "speedUpCol"),
            ("utilisation", plan.layer_utilisation, "utilization"),
        ):
            yield f"layer {number + 1} {name}", values[number, row], layer[column]


def _differences(pairs: Iterable[Pair]) -> tuple[str, ...]:
    """Say which differ."""
    return tuple(
        f"{name} {float(value):.10g}, reference {float(expected):.10g}"
        for name, value, expected in pairs
        if not abs(float(value) - float(expected)) <= 1e-9 * abs(float(expected))
    )


def _errors(case: Case, synthetic: CostBatch, ours: CostBatch, row: int) -> dict[str, float]:
    """Relative errors of a row's totals."""
    found = {"latency": (ours.latency_ns, "latency_ns"), "area": (ours.area_um2, "area_um2")}
    if not case.out_of_bounds:
        found["leakage_energy"] = (ours.leakage_energy_pj, "leakE_pJ")
        found["dynamic_energy"] = (ours.dynamic_energy_pj, "dynE_pJ")
        found["dynamic_energy_synthetic"] = (synthetic.dynamic_energy_pj, "dynE_pJ")
    return {
        name: abs(float(values[row]) / float(case.chip[column]) - 1)
        for name, (values, column) in found.items()
    }
