"""The verb `traces`: designs evaluated in many training scenarios."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import load


def traces(
    out: Path = Path("runs/finetune/data"), config: Path = Path("configs/finetune/data.yaml")
) -> int:
    """Evaluate designs in many training scenarios; typed again after a break, it goes on.

    Args:
        out: directory that traces.parquet and scenarios.jsonl are written to.
        config: YAML file of the scenarios and of the sources of accuracy.
    """
    from finetune.gather import DataRecipe, make_traces

    made = make_traces(load(config, DataRecipe), out)
    cli.emit(traces=str(out), **made._asdict())
    return 0
