"""The verb `traces`: designs evaluated in many training scenarios."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import load


def traces(
    out: Path = Path("runs/finetune/data"), config: Path = Path("configs/finetune/data.yaml")
) -> int:
    """Re-cost the trained networks of the accuracy bench under many training scenarios.

    Args:
        out: directory that traces.parquet and scenarios.jsonl are written to.
        config: YAML file of the scenarios and of the sources of accuracy.
    """
    from finetune.gather import DataRecipe, make_traces

    scenarios = make_traces(load(config, DataRecipe), out)
    rows = [row for scenario in scenarios for row in scenario.traces]
    feasible = sum(row.evaluation.reward is not None for row in rows)
    cli.emit(traces=str(out), scenarios=len(scenarios), evaluations=len(rows), feasible=feasible)
    return 0
