"""The verb `ablate`: what each part of a judge's training buys."""

import os
from pathlib import Path

from cim_sim import cli
from cim_sim.config import UsageError
from finetune.ablations import PARTS, Name
from finetune.commands.train import Overrides


def ablate(
    *,
    data: Path = Path("runs/finetune/judgements"),
    out: Path = Path("runs/finetune/ablations"),
    config: Path = Path("configs/finetune/smollm2-judge.yaml"),
    overrides: Overrides = (),
    parts: tuple[Name, ...] = tuple(PARTS),
    dry_run: bool = False,
) -> int:
    """Train a judge whole and then without one part after the other, and compare them in pairs.

    Typed again after a break, it goes on where it was; what is finished is read.

    Args:
        data: judgements, as `python -m finetune dataset` writes them.
        out: directory of the trainings: whole, unordered and so on.
        config: YAML file of the whole training, in TRL's key names.
        overrides: single settings that win over the recipe, as in max_steps=80.
        parts: which trainings; by default all.
        dry_run: show what would be trained, and stop.
    """
    from finetune.ablations import ablated, by_weights, require_judgements, scenarios_of, table
    from finetune.recipe import load_recipe, told

    if not parts:
        raise UsageError(f"--parts names no training: give some of {', '.join(PARTS)}")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UsageError(
            "ablate trains in one process: type python -m finetune ablate, no torchrun"
        )
    held_out = f"{len(require_judgements(data).held_out)} scenarios"
    if dry_run:
        print(told(load_recipe(config, overrides, out)))
        return cli.planned(
            trains=", ".join(parts), held_out=held_out, writes=f"{out}/PART/held_out.json"
        )
    done = []
    for name in parts:
        print(f"=== {PARTS[name].words}", flush=True)
        done.append(ablated(name, config, overrides, data, out))
    print(table(done, by_weights(data), scenarios_of(data)))
    cli.emit(parts=len(done), steps=done[0].steps, ablations=str(out))
    return 0
