"""The verb `train`: LoRA on a base model."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from cim_sim import cli

Overrides = Annotated[tuple[str, ...], tyro.conf.arg(name="set")]


def train(
    *,
    data: Path,
    out: Path,
    config: Path = Path("configs/finetune/smollm2-judge.yaml"),
    overrides: Overrides = (),
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
) -> int:
    """LoRA fine-tuning: an adapter that PEFT and vLLM load with nothing else.

    Args:
        data: directory written by `python -m finetune dataset`.
        out: directory that the adapter is written to.
        config: YAML file of the recipe, in TRL's key names.
        overrides: single settings that win over the recipe, as in learning_rate=1e-3.
        resume: go on from the last checkpoint in `out`.
        overwrite: write into `out` although it is not empty.
        dry_run: show the resolved recipe, the counts, one example and the memory needed, and stop.
    """
    from finetune.preflight import describe
    from finetune.train import fit, last_checkpoint, prepare

    checkpoint = last_checkpoint(out, resume, overwrite)
    trainer, recipe, check = prepare(config, overrides, data, out)
    if dry_run:
        print(describe(trainer, colour=sys.stdout.isatty()))
        return cli.planned(**check.known, writes=str(out))
    summary = fit(trainer, recipe, data, checkpoint)
    if trainer.is_world_process_zero():
        cli.emit(adapter=str(out), **summary)
    return 0
