"""Training: a resume goes on where it was, and a used directory is refused."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from cim_sim.config import UsageError
from finetune.base import ensure
from finetune.dataset import DatasetRecipe, build, write
from finetune.traces import SCENARIOS
from finetune.train import _logged, _name_base, begin, fit, last_checkpoint, prepare
from search.record.adapter import read_manifest


@pytest.mark.slow
def test_a_resumed_training_ends_where_the_unbroken_one_does(recipe_file, data, adapter, tmp_path):
    from safetensors.torch import load_file

    from finetune.elapsed import elapsed_at

    trainer, recipe, _ = prepare(recipe_file, (), data, tmp_path)
    trainer.args.max_steps = 2
    fit(trainer, recipe, data, None)
    checkpoint = last_checkpoint(tmp_path, resume=True, overwrite=False)
    assert elapsed_at(checkpoint).whole
    (checkpoint / "elapsed.json").write_text('{"seconds": 1e6, "whole": true}')
    trainer, recipe, _ = prepare(recipe_file, (), data, tmp_path)
    summary = fit(trainer, recipe, data, checkpoint)
    assert summary["steps"] == 4
    assert read_manifest(tmp_path).seconds == summary["seconds"] >= 1e6
    assert read_manifest(tmp_path).whole_time
    resumed = load_file(tmp_path / "adapter_model.safetensors")
    unbroken = load_file(adapter / "adapter_model.safetensors")
    assert resumed.keys() == unbroken.keys()
    assert max(float((resumed[k] - unbroken[k]).abs().max()) for k in resumed) < 1e-3


def test_what_another_training_left_is_not_taken_for_this_one(tmp_path):
    for number in (2, 4):
        (tmp_path / f"checkpoint-{number}").mkdir()
    (tmp_path / "adapter_manifest.json").write_text("{}")
    begin(tmp_path, tmp_path / "checkpoint-4")
    assert {one.name for one in tmp_path.iterdir()} == {"checkpoint-2", "checkpoint-4"}
    begin(tmp_path, None)
    assert not any(tmp_path.iterdir())


def test_losses_of_all_starts_count_and_the_summary_only_where_none_was_logged():
    assert _logged([{"loss": 2.0}, {"eval_loss": 9.0}, {"loss": 1.0}, {"train_loss": 0.0}]) == [
        2,
        1,
    ]
    assert _logged([{"train_loss": 1.5}]) == [1.5]
    assert _logged([]) == []


@pytest.mark.slow
def test_a_training_that_ended_takes_no_step_more(recipe_file, data, adapter, tmp_path):
    """Killed before it wrote its adapter, it has the last checkpoint and is resumed from it."""
    from safetensors.torch import load_file

    shutil.copytree(adapter / "checkpoint-4", tmp_path / "checkpoint-4")
    trainer, recipe, _ = prepare(recipe_file, (), data, tmp_path)
    summary = fit(trainer, recipe, data, tmp_path / "checkpoint-4")
    before = read_manifest(adapter)
    assert (summary["steps"], read_manifest(tmp_path).steps) == (4, 4)
    assert summary["losses"] == pytest.approx(before.losses, abs=1e-4)
    resumed = load_file(tmp_path / "adapter_model.safetensors")
    unbroken = load_file(adapter / "adapter_model.safetensors")
    assert all(bool((resumed[name] == unbroken[name]).all()) for name in unbroken)


@pytest.mark.slow
def test_a_training_goes_on_from_another_adapter(recipe_file, data, adapter, tmp_path):
    """It begins at the loss where that one ended, and counts what that one was given."""
    start = f"adapter_name_or_path={adapter}"
    trainer, recipe, _ = prepare(recipe_file, (start, "max_steps=1"), data, tmp_path)
    losses = fit(trainer, recipe, data, None)["losses"]
    before, now = read_manifest(adapter), read_manifest(tmp_path)
    assert losses["held-out before"] == pytest.approx(before.losses["held-out after"], abs=1e-3)
    assert losses["held-out after"] < losses["held-out before"]
    assert now.went_on_from == str(adapter)
    assert [(one.path, one.steps, one.seconds) for one in now.earlier] == [
        (str(adapter), 4, before.seconds)
    ]
    assert "- this one: 1 steps, " in (tmp_path / "README.md").read_text()
    assert now.trained_on == before.trained_on
    assert now.given == before.given, "the very same data, which cost nothing anew"
    with pytest.raises(UsageError, match="its lora_r is 4, the recipe says 8; to go on from it"):
        prepare(recipe_file, (start, "lora_r=8"), data, tmp_path)
    with pytest.raises(UsageError, match="its lora_alpha is 8, the recipe says 64"):
        prepare(recipe_file, (start, "lora_alpha=64"), data, tmp_path)


@pytest.mark.slow
def test_the_checkpoint_of_another_training_is_not_gone_on_with(
    recipe_file, data, adapter, dialogues, tmp_path
):
    for name in ("checkpoint-2", "training.json"):
        place = adapter / name
        (shutil.copytree if place.is_dir() else shutil.copy)(place, tmp_path / name)
    checkpoint = tmp_path / "checkpoint-2"
    trainer, recipe, _ = prepare(recipe_file, ("learning_rate=1e-5",), data, tmp_path)
    with pytest.raises(UsageError, match=f"{tmp_path} was begun with another recipe: give what it"):
        fit(trainer, recipe, data, checkpoint)
    trainer, recipe, _ = prepare(recipe_file, (), dialogues, tmp_path)
    with pytest.raises(UsageError, match="was begun with another data"):
        fit(trainer, recipe, dialogues, checkpoint)


@pytest.mark.slow
def test_what_an_adapter_has_learnt_is_not_held_out_of_it(
    recipe_file, tasks, traces, adapter, tmp_path
):
    again = DatasetRecipe(examples=6, held_out=0.8, seed=5)
    (tmp_path / SCENARIOS).write_text("".join(task.model_dump_json() + "\n" for task in tasks))
    write(tmp_path, build(tasks, traces, again), again)
    with pytest.raises(UsageError, match=r"of its \d+ held-out scenarios were learnt by "):
        prepare(recipe_file, (f"adapter_name_or_path={adapter}",), tmp_path, tmp_path / "out")


def test_a_used_directory_is_refused_and_resuming_begins_what_was_never_begun(tmp_path):
    assert last_checkpoint(tmp_path, resume=True, overwrite=False) is None
    (tmp_path / "note").write_text("mine")
    with pytest.raises(UsageError, match="is not empty: --resume goes on, --overwrite starts"):
        last_checkpoint(tmp_path, resume=False, overwrite=False)


def test_an_unknown_base_says_what_to_do():
    with pytest.raises(UsageError, match="neither a directory here nor a model of the hub"):
        ensure("no-such/model")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("org/model", ("org/model", "abc")), (".", ("/made/of/it", None))],
)
def test_an_adapter_names_a_model_of_the_hub_as_everybody_finds_it(name, wanted):
    model = SimpleNamespace(model_name_or_path=name, model_revision="abc")
    config = SimpleNamespace()
    _name_base(config, SimpleNamespace(model=model), Path("/made/of/it"))
    assert (config.base_model_name_or_path, config.revision) == wanted
