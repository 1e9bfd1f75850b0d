"""The verb `pipeline`: from trained networks to a served, checked model, in one go."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cim_sim import cli
from cim_sim.config import UsageError, load
from finetune.commands.train import Overrides

if TYPE_CHECKING:
    from finetune.gather import DataRecipe
    from finetune.recipe import Recipe


def pipeline(
    *,
    config: Path = Path("configs/finetune/smollm2.yaml"),
    data_config: Path = Path("configs/finetune/dialogues.yaml"),
    out: Path = Path("runs/finetune/local"),
    model: Path = Path("configs/models/local.yaml"),
    base: Path = Path("configs/models/base.yaml"),
    overrides: Overrides = (),
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
) -> int:
    """Traces, dataset, LoRA training, merge and round trip.

    Args:
        config: YAML file of the training recipe, in TRL's key names.
        data_config: YAML file of the scenarios and of the sources of accuracy.
        out: directory of the adapter; data/, merged/ and roundtrip.json are written there too.
        model: YAML file that says how the tuned model is served in a search.
        base: YAML file that says how its base model is served.
        overrides: single settings that win over the recipe, as in max_steps=100.
        resume: keep the data that are there and go on from the last checkpoint.
        overwrite: write into `out` although it is not empty.
        dry_run: show the recipe and what each stage would do, and stop.
    """
    from finetune.dataset import make_dataset
    from finetune.gather import DataRecipe, make_traces
    from finetune.merge import WORST_MEAN, merge_adapter
    from finetune.recipe import load_recipe
    from finetune.roundtrip import check, placed
    from finetune.train import fit, last_checkpoint, prepare
    from search.llm.model import ModelConfig
    from search.llm.server import vllm_version

    # Whatever can be refused is refused here, before minutes of work.
    vllm_version()
    served, served_base = load(model, ModelConfig), load(base, ModelConfig)
    checkpoint = last_checkpoint(out, resume, overwrite)
    wanted = load_recipe(config, overrides, out)  # its faults are told before the data are made
    data_recipe, data = load(data_config, DataRecipe), out / "data"
    kept = resume and (data / "manifest.json").is_file()
    if dry_run:
        return _plan(wanted, data_recipe, out, kept)
    seconds: dict[str, float] = {}
    if not kept:
        with _stage("data", seconds):
            make_traces(data_recipe, data)
            make_dataset(data, data_recipe.dataset)
    with _stage("train", seconds):
        trainer, recipe, counts = prepare(config, overrides, data, out)
        print(f"{counts.examples} conversations, {counts.supervised_mean} answer tokens each")
        summary = fit(trainer, recipe, data, checkpoint)
    with _stage("merge", seconds):
        difference = merge_adapter(out)
        if difference > WORST_MEAN:
            raise UsageError(f"{out}: merged and unmerged differ by {difference:.4f} nats a token")
    with _stage("round trip", seconds):
        result = check(out, placed(served, out), served_base)
    for fault in result.faults:
        print(f"round trip: {fault}")
    cli.emit(
        adapter=str(out),
        conversations=counts.examples,
        steps=summary["steps"],
        dtype=recipe.precision.dtype,
        losses=summary["losses"],
        merge_difference=round(difference, 5),
        roundtrip_passed=result.passed,
        tuned_against_base=result.tuned_against_base,
        tuned_against_transformers=result.tuned_against_transformers,
        seconds=seconds,
    )
    return 0 if result.passed else cli.EXIT_FAILED


def _plan(recipe: "Recipe", data: "DataRecipe", out: Path, kept: bool) -> int:
    from finetune.commands.traces import facts
    from finetune.recipe import told

    print(told(recipe))
    training = recipe.training
    epochs = f"{training.num_train_epochs:g} epochs"
    return cli.planned(
        **({"data": f"kept: {out / 'data'}"} if kept else facts(data, out / "data")),
        base=str(recipe.model.model_name_or_path),
        steps=f"{training.max_steps}" if training.max_steps > 0 else epochs,
        memory="known once the data are there: python -m finetune train --dry-run",
        then=f"{out}: the adapter, merged/, roundtrip.json",
    )


@contextmanager
def _stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Say that a stage begins, and note how long it took."""
    print(f"== {name}", flush=True)
    started = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - started, 1)
