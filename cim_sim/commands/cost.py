"""The verb `cost`: what every design of a file costs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cim_sim import cli
from cim_sim.config import UsageError, load

if TYPE_CHECKING:
    import pandas as pd

    from cim_sim.scenario import Scenario
    from cim_sim.space import Design

COSTS = (
    "latency_ns",
    "energy_pj",
    "dynamic_energy_pj",
    "leakage_energy_pj",
    "area_um2",
    "utilisation",
    "clock_ns",
    "tiles",
)
"""Columns of the file; empty without a floorplan, and `reason` then says why."""


def cost(designs: Path, out: Path, scenario: Path) -> int:
    """Cost every design of a file; no training.

    Args:
        designs: JSONL file, one design in wire format to a line.
        out: CSV file to write, a row for each line.
        scenario: YAML file of what is fixed.
    """
    from cim_sim.files import write_whole
    from cim_sim.scenario import Scenario

    problem = load(scenario, Scenario)
    table = _costs(_read_designs(designs, problem), problem)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, table.to_csv(index=False))
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror or error}") from None
    feasible = int(table["feasible"].sum())
    print(f"{len(table)} designs costed, {feasible} with a floorplan: {out}")
    cli.emit(designs=len(table), feasible=feasible, out=str(out))
    return 0


def _read_designs(path: Path, scenario: "Scenario") -> "list[Design]":
    """Read a JSONL file of designs with equally many layers; blank lines are passed over."""
    from cim_sim.space import parse_design

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--designs {path}: {error}") from None
    designs: list[Design] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{path} line {number}"
        designs.append(parse_design(line, place))
        depth, first = len(designs[-1].layers), len(designs[0].layers)
        if depth != first or not depth:
            raise UsageError(f"{place}: {depth} layers, the first design has {first}")
        try:
            scenario.complete(designs[-1])
        except UsageError as error:
            raise UsageError(f"{place}: {error}") from None
    if not designs:
        raise UsageError(f"--designs {path}: no designs; write one to a line, [[32,3], ...]")
    return designs


def _costs(designs: "Sequence[Design]", scenario: "Scenario") -> "pd.DataFrame":
    import pandas as pd

    from cim_sim.cost import evaluate_mixed, floorplan_fault_mixed

    hardware = [scenario.complete(design) for design in designs]
    stack = scenario.workload.stack(designs)
    batch = evaluate_mixed(stack, hardware)
    wires = [json.dumps(design.wire(), separators=(",", ":")) for design in designs]
    costs = {name: getattr(batch, name) for name in COSTS}
    faults = floorplan_fault_mixed(stack, hardware)
    feasible = batch.feasible.astype(int)
    return pd.DataFrame({"design": wires, "feasible": feasible, **costs, "reason": faults})
