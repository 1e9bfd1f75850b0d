"""The verb `cost`: what every design of a file costs."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cim_sim import cli
from cim_sim.config import UsageError, load

if TYPE_CHECKING:
    from cim_sim.scenario import Scenario
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


def _cost_rows(designs: "Sequence[Design]", scenario: "Scenario") -> list[dict[str, Any]]:
    from cim_sim.cost import evaluate_mixed, floorplan_fault_mixed

    hardware = [scenario.complete(design) for design in designs]
    stack = scenario.workload.stack(designs)
    batch, faults = evaluate_mixed(stack, hardware), floorplan_fault_mixed(stack, hardware)
    rows = []
    for index, design in enumerate(designs):
        fits = bool(batch.feasible[index])
        wire = json.dumps(design.wire(), separators=(",", ":"))
        row: dict[str, Any] = {"design": wire, "feasible": int(fits)}
        for name in COST_COLUMNS[2:-1]:
            row[name] = repr(float(getattr(batch, name)[index])) if fits else ""
        if not fits:
            row["reason"] = faults[index]
        rows.append(row)
    return rows
