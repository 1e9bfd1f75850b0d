"""The verb `traces`: designs evaluated in many training scenarios."""

from pathlib import Path
from typing import TYPE_CHECKING

from cim_sim import cli
from cim_sim.config import dump, load

if TYPE_CHECKING:
    from finetune.gather import DataRecipe


def traces(
    out: Path = Path("runs/finetune/data"),
    config: Path = Path("configs/finetune/judgements.yaml"),
    runs: tuple[Path, ...] = (),
    only_runs: bool = False,
    dry_run: bool = False,
) -> int:
    """Evaluate designs in many training scenarios; typed again after a break, it goes on.

    Args:
        out: directory that traces.parquet and scenarios.jsonl are written to.
        config: YAML file of the scenarios and of the sources of accuracy.
        runs: directories of searches and sweeps, whose evaluations are taken too.
        only_runs: take nothing but those, and the tables that the configuration names.
        dry_run: show the configuration and the counts, and stop.
    """
    from finetune.gather import DataRecipe, make_traces

    recipe = load(config, DataRecipe).with_runs(runs)
    if only_runs:
        recipe = recipe.model_copy(update={"bench_tasks": 0, "surrogate_tasks": 0})
    if dry_run:
        print(dump(recipe))
        return cli.planned(**facts(recipe, out))
    made = make_traces(recipe, out)
    cli.emit(traces=str(out), **made._asdict())
    return 0


def facts(recipe: "DataRecipe", out: Path) -> dict[str, str | int]:
    """Return what gathering the traces of a recipe would take and write."""
    from finetune.gather import parts_of, require_sources
    from finetune.traces import SCENARIOS, TRACES, find_runs

    require_sources(recipe)
    parts, missing = parts_of(recipe, out)
    found = find_runs(recipe.runs)
    return {
        "bench": f"{recipe.bench_tasks} training tasks met by the networks of {recipe.bench}",
        "surrogate": f"{recipe.surrogate_tasks} training tasks searched",
        "runs": f"{len(found)} with {sum(len(run.trials) for run in found)} trials",
        "tables": ", ".join(str(table.file) for table in recipe.tables) or "none",
        "parts": f"{len(parts)}, of which {len(parts) - len(missing)} are there",
        "writes": f"{out}: {TRACES}, {SCENARIOS}",
    }
