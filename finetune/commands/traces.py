"""The verb `traces`: designs evaluated in many training scenarios."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import load


def traces(
    out: Path = Path("runs/finetune/data"),
    config: Path = Path("configs/finetune/dialogues.yaml"),
    runs: tuple[Path, ...] = (),
    only_runs: bool = False,
) -> int:
    """Evaluate designs in many training scenarios; typed again after a break, it goes on.

    Args:
        out: directory that traces.parquet and scenarios.jsonl are written to.
        config: YAML file of the scenarios and of the sources of accuracy.
        runs: directories of searches and sweeps, whose evaluations are taken too.
        only_runs: take nothing but those.
    """
    from finetune.gather import DataRecipe, make_traces

    recipe = load(config, DataRecipe)
    changes: dict[str, object] = {"runs": (*recipe.runs, *runs)}
    if only_runs:
        changes |= {"bench_tasks": 0, "surrogate_tasks": 0}
    made = make_traces(recipe.model_copy(update=changes), out)
    cli.emit(traces=str(out), **made._asdict())
    return 0
