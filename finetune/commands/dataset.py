"""The verb `dataset`: conversations drawn from traces."""

from pathlib import Path
from typing import TYPE_CHECKING

from cim_sim import cli
from cim_sim.config import dump, load

if TYPE_CHECKING:
    from finetune.dataset import DatasetRecipe


def dataset(
    data: Path = Path("runs/finetune/data"),
    config: Path = Path("configs/finetune/judgements.yaml"),
    dry_run: bool = False,
) -> int:
    """Turn traces into conversations, split by scenario, with a card.

    Args:
        data: directory that holds the traces; the conversations are written there too.
        config: YAML file that says how conversations are drawn.
        dry_run: show the configuration and the counts, and stop.
    """
    from finetune.dataset import make_dataset
    from finetune.gather import DataRecipe

    recipe = load(config, DataRecipe).dataset
    if dry_run:
        return _plan(recipe, data)
    manifest = make_dataset(data, recipe)
    cli.emit(dataset=str(data), digest=manifest.digest, **manifest.counts, sources=manifest.sources)
    return 0


def _plan(recipe: "DatasetRecipe", data: Path) -> int:
    from finetune.dataset import MANIFEST, SPLITS
    from finetune.traces import read_traces

    tasks, traces = read_traces(data)
    print(dump(recipe))
    return cli.planned(
        tasks=len(tasks),
        traces=sum(len(rows) for rows in traces.values()),
        conversations=f"up to {recipe.examples} about each task",
        writes=f"{data}: {', '.join(f'{name}.jsonl' for name in SPLITS)}, README.md, {MANIFEST}",
    )
