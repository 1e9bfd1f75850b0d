"""The verbs `cost`, `explain`, `validate`, `bench` and `sweep`."""

import csv
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cim_sim import cli
from cim_sim.config import UsageError, load

if TYPE_CHECKING:
    from cim_sim.cost_study.validate import Comparison, Report
    from cim_sim.space import Design

COST_COLUMNS = (
    "design",
    "feasible",
    "latency_ns",
    "energy_pj",
    "dynamic_energy_pj",
    "leakage_energy_pj",
    "area_um2",
    "utilisation",
    "clock_ns",
    "tiles",
    "reason",
)


def cost(designs: Path, out: Path, scenario: Path) -> int:
    """Cost every design of a file; no training.

    Args:
        designs: JSONL file, one design in wire format to a line.
        out: CSV file to write, a row for each line.
        scenario: YAML file of what is fixed.
    """
    from cim_sim.scenario import Scenario

    problem = load(scenario, Scenario)
    chosen = _read_designs(designs)
    rows = _cost_rows(chosen, problem)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COST_COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror or error}") from None
    feasible = sum(bool(row["feasible"]) for row in rows)
    print(f"{len(rows)} designs costed, {feasible} with a floorplan: {out}")
    cli.emit(designs=len(rows), feasible=feasible, out=str(out))
    return 0


def explain(design: str, scenario: Path, against: str | None = None) -> int:
    """Say where latency, energy and area come from, or why a second design differs.

    Args:
        design: A, as JSON: '[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]'.
        scenario: YAML file of what is fixed.
        against: B, as JSON; explained is what changes from A to B.
    """
    from dataclasses import asdict

    from cim_sim.cost_study import explain as reasons
    from cim_sim.scenario import Scenario
    from cim_sim.space import parse_design

    problem = load(scenario, Scenario)
    first = parse_design(design, "--design")
    if against is None:
        findings = reasons.explain(first, problem)
    else:
        findings = reasons.compare(first, parse_design(against, "--against"), problem)
    for finding in findings:
        inner = finding.layer is not None and finding.kind != "layer"
        print(f"{'    ' if inner else ''}{finding.text}")
    cli.emit(findings=[asdict(finding) for finding in findings])
    return 0


def validate(reference: Path | None = None) -> int:
    """Compare the cost model with rows that DNN+NeuroSim printed; exit 1 beyond tolerance.

    Args:
        reference: folder with chip.csv and layers.csv (or .csv.gz); default: the package's copy.
    """
    from cim_sim.cost_study.validate import validate as compare

    report = compare(reference)
    _print_table(report)
    for reason, count in report.skipped.items():
        print(f"left out: {count} ({reason})")
    for failure in report.failures[:20]:
        print(f"BEYOND TOLERANCE {failure}")
    if len(report.failures) > 20:
        print(f"... and {len(report.failures) - 20} more")
    cli.emit(**report.summary())
    return 1 if report.failures else 0


def bench(batch: cli.Count = 10_000, repeats: cli.Count = 10) -> int:
    """Time the cost model in batches, one by one, and with all parts kept.

    Args:
        batch: designs in one call.
        repeats: calls, of which the median counts.
    """
    from cim_sim.cost_study.bench import NEUROSIM_CPU_SECONDS
    from cim_sim.cost_study.bench import bench as measure

    timing = measure(batch, repeats)
    low, high = timing.speedup
    print(f"totals      {timing.designs_per_second:12,.0f} designs per second and core")
    print(f"breakdown   {timing.breakdowns_per_second:12,.0f} designs per second and core")
    print(f"one design  {timing.single_design_ms:12.2f} ms")
    print(f"memory      {timing.memory_mb:12.0f} MB at most")
    print(
        f"NeuroSim's {NEUROSIM_CPU_SECONDS} CPU s a design are {low:,.0f} to {high:,.0f} times more"
    )
    cli.emit(
        designs_per_second=round(timing.designs_per_second),
        breakdowns_per_second=round(timing.breakdowns_per_second),
        single_design_ms=round(timing.single_design_ms, 3),
        memory_mb=round(timing.memory_mb),
        times_faster_than_neurosim=[round(low), round(high)],
        batch=batch,
    )
    return 0


def sweep(out: Path = Path("runs/kernels.png")) -> int:
    """Draw utilisation, latency and energy against kernel size; answer the 5x5 question.

    Args:
        out: figure to write (PNG).
    """
    from cim_sim.cost_study import kernels as study

    curves = study.sweep()
    try:
        study.draw(curves, out)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror or error}") from None
    answer = study.answer(curves)
    for name, counts in answer.items():
        print(
            f"{name:22} of {counts['settings']} settings 5x5 fills worst in "
            f"{counts['5x5 fills worst']}, is slowest in {counts['5x5 slowest']}"
        )
    cli.emit(out=str(out), **answer)
    return 0


def _read_designs(path: Path) -> "list[Design]":
    """Read a JSONL file of designs with equally many layers; blank lines are passed over."""
    from cim_sim.space import parse_design

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--designs {path}: {error}") from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise UsageError(f"--designs {path}: no designs; write one to a line, [[32,3], ...]")
    found = [parse_design(line, f"{path} line {number}") for number, line in numbered]
    depth = len(found[0].layers)
    for (number, _), design in zip(numbered, found, strict=True):
        if len(design.layers) != depth or not depth:
            raise UsageError(
                f"{path} line {number}: {len(design.layers)} layers, the first design has {depth}"
            )
    return found


def _cost_rows(designs: "Sequence[Design]", scenario: Any) -> list[dict[str, Any]]:
    from cim_sim.cost import evaluate_mixed, floorplan_fault

    hardware = [scenario.complete(design) for design in designs]
    stack = scenario.workload.stack(designs)
    batch = evaluate_mixed(stack, hardware)
    rows = []
    for index, design in enumerate(designs):
        fits = bool(batch.feasible[index])
        row: dict[str, Any] = {"design": cli_json(design.wire()), "feasible": int(fits)}
        for name in COST_COLUMNS[2:-1]:
            row[name] = repr(float(getattr(batch, name)[index])) if fits else ""
        if not fits:
            row["reason"] = floorplan_fault(stack[index : index + 1], hardware[index])[0]
        rows.append(row)
    return rows


def cli_json(value: Any) -> str:
    """Compact JSON of a cell."""
    import json

    return json.dumps(value, separators=(",", ":"))


def _print_table(report: "Report") -> None:
    """Print a line for each mode and hardware family."""
    from cim_sim.cost_study.validate import QUANTITIES, statistics

    def family(one: "Comparison") -> tuple[str, str, int]:
        hardware = one.case.hardware
        mode = "" if one.case.speed_up_degree is None else ", pipeline"
        return f"{hardware.mapping}, {hardware.pad}{mode}", hardware.device, hardware.node_nm

    rows = sorted([*report.comparisons, *report.pipelined], key=family)
    print(f"{'mode':30}{'device':8}{'node':>5}{'rows':>6}{'unequal':>9}", end="")
    print("".join(f"{name.replace('_energy', ''):>24}" for name in QUANTITIES))
    print(" " * 58 + f"{'median / p99 / max':>24}" * len(QUANTITIES))
    for (mode, device, node), group in groupby(rows, family):
        members = list(group)
        found = statistics(members)
        unequal = sum(bool(one.unequal) for one in members)
        cells = "".join(
            f"{_triple(found[name]):>24}" if found[name]["rows"] else f"{'-':>24}"
            for name in QUANTITIES
        )
        print(f"{mode:30}{device:8}{node:5}{len(members):6}{unequal:9}{cells}")


def _triple(found: dict[str, float]) -> str:
    return " ".join(f"{found[name]:.0e}" for name in ("median", "p99", "max"))
