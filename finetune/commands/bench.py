"""The verb `bench`: training steps of a recipe, timed beside bare ones."""

from pathlib import Path

from cim_sim import cli
from finetune.commands.train import Overrides


def bench(
    config: Path = Path("configs/finetune/smollm2.yaml"),
    data: Path | None = None,
    steps: cli.Count = 6,
    overrides: Overrides = (),
    dry_run: bool = False,
) -> int:
    """Time training steps, each beside a bare PyTorch step on the same batch and weights.

    Args:
        config: YAML file of the recipe, in TRL's key names.
        data: directory with dialogues; a few are made when none is given.
        steps: how many steps are timed.
        overrides: single settings that win over the recipe.
        dry_run: show the resolved recipe, and stop.
    """
    from finetune.bench import shares
    from finetune.recipe import load_recipe, told

    if dry_run:
        print(told(load_recipe(config, overrides, Path("runs/bench"))))
        return cli.planned(steps=f"{steps} of the trainer, as many bare ones", writes="nothing")

    figures = shares(config, data, steps, overrides)
    for name, value in figures.items():
        print(f"{name:20s} {value:10.3f}")
    cli.emit(steps=steps, **{name: round(value, 4) for name, value in figures.items()})
    return 0
