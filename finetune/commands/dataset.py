"""The verb `dataset`: conversations drawn from traces."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import load


def dataset(
    data: Path = Path("runs/finetune/data"),
    config: Path = Path("configs/finetune/dialogues.yaml"),
) -> int:
    """Turn traces into conversations, split by scenario, with a card.

    Args:
        data: directory that holds the traces; the conversations are written there too.
        config: YAML file that says how conversations are drawn.
    """
    from finetune.dataset import make_dataset
    from finetune.gather import DataRecipe

    manifest = make_dataset(data, load(config, DataRecipe).dataset)
    cli.emit(dataset=str(data), digest=manifest.digest, **manifest.counts, sources=manifest.sources)
    return 0
