"""The verb `pipeline`: from trained networks to a served, checked model, in one go."""

from pathlib import Path
from typing import TYPE_CHECKING

from cim_sim import cli
from cim_sim.config import load
from finetune.commands.train import Overrides

if TYPE_CHECKING:
    from finetune.gather import DataRecipe
    from finetune.recipe import Recipe


def pipeline(
    *,
    config: Path = Path("configs/finetune/smollm2-judge.yaml"),
    data_config: Path = Path("configs/finetune/judgements.yaml"),
    runs: tuple[Path, ...] = (),
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
        runs: directories of searches and sweeps, whose evaluations are taken too.
        out: directory of the adapter; data/, merged/ and roundtrip.json are written there too.
        model: YAML file that says how the tuned model is served in a search.
        base: YAML file that says how its base model is served.
        overrides: single settings that win over the recipe, as in max_steps=100.
        resume: keep the data that are there and go on from the last checkpoint.
        overwrite: write into `out` although it is not empty.
        dry_run: show the recipe and what each stage would do, and stop.
    """
    from finetune.asked import ASKED, claim
    from finetune.dataset import MANIFEST, make_dataset, require_known
    from finetune.gather import DataRecipe, make_traces, require_sources
    from finetune.learn import Served, learn, stage
    from finetune.recipe import load_recipe
    from finetune.train import begin, last_checkpoint, require_served, require_suited
    from search.llm.model import ModelConfig
    from search.llm.server import vllm_version

    # Whatever can be refused is refused here, before minutes of work.
    vllm_version()
    served = Served(load(model, ModelConfig), load(base, ModelConfig))
    last_checkpoint(out, resume, overwrite)
    recipe = load_recipe(config, overrides, out)  # its faults are told before the data are made
    data_recipe, data = load(data_config, DataRecipe).with_runs(runs), out / "data"
    require_suited(recipe, data_recipe.dataset, f"{config}: {data_config}")
    kept = resume and (data / MANIFEST).is_file()
    if dry_run:
        return _plan(recipe, data_recipe, out, kept)
    if not kept:
        found = require_sources(data_recipe)
        if data_recipe.runs_alone:
            require_known([run.config.task for run in found], data_recipe.dataset)
    require_served(recipe, served.base)
    if not resume:  # whatever is there was given up, or never was
        for old in (out / ASKED, data / MANIFEST):
            old.unlink(missing_ok=True)
        begin(out, None)
    asked = data_recipe.model_dump(mode="json", exclude={"workers"})
    claim(out, {"data": asked, "recipe": recipe.written})
    seconds: dict[str, float] = {}
    if not kept:
        with stage("data", seconds):
            make_traces(data_recipe, data)
            make_dataset(data, data_recipe.dataset)
    summary = learn(config, overrides, data, out, served, resume=resume)
    cli.emit(**{**summary, "seconds": {**seconds, **summary["seconds"]}})
    return 0 if summary["roundtrip_passed"] else cli.EXIT_FAILED


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
