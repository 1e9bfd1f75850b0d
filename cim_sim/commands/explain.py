"""The verb `explain`: where a design's cost comes from."""

from dataclasses import asdict
from pathlib import Path

from cim_sim import cli
from cim_sim.config import load


def explain(design: str, scenario: Path, against: str | None = None) -> int:
    """Say where latency, energy and area come from, or why a second design differs.

    Args:
        design: A, as JSON: '[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]'.
        scenario: YAML file of what is fixed.
        against: B, as JSON; explained is what changes from A to B.
    """
    from cim_sim.cost_study import explain as study
    from cim_sim.scenario import Scenario
    from cim_sim.space import parse_design

    problem = load(scenario, Scenario)
    first = parse_design(design, "--design")
    if against is None:
        findings = study.explain(first, problem)
    else:
        findings = study.compare(first, parse_design(against, "--against"), problem)
    for finding in findings:
        inner = finding.layer is not None and finding.kind != "layer"
        print(f"{'    ' if inner else ''}{finding.text}")
    cli.emit(findings=[asdict(finding) for finding in findings])
    return 0
