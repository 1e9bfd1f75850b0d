"""Training: a resume goes on where it was, and the recipe of hub models trains."""

from pathlib import Path

import pytest

from cim_sim.config import UsageError
from finetune.base import ensure
from finetune.commands.train import train
from finetune.train import fit, last_checkpoint, prepare
from search.record.adapter import read_manifest


@pytest.mark.slow
def test_a_resumed_training_ends_where_the_unbroken_one_does(recipe_file, data, adapter, tmp_path):
    from safetensors.torch import load_file

    trainer, recipe, _ = prepare(recipe_file, (), data, tmp_path)
    trainer.args.max_steps = 2
    fit(trainer, recipe, data, None)
    trainer, recipe, _ = prepare(recipe_file, (), data, tmp_path)
    summary = fit(trainer, recipe, data, last_checkpoint(tmp_path, resume=True, overwrite=False))
    assert summary["steps"] == 4
    resumed = load_file(tmp_path / "adapter_model.safetensors")
    unbroken = load_file(adapter / "adapter_model.safetensors")
    assert resumed.keys() == unbroken.keys()
    assert max(float((resumed[k] - unbroken[k]).abs().max()) for k in resumed) < 1e-3


def test_a_used_directory_is_refused_and_resuming_begins_what_was_never_begun(tmp_path):
    assert last_checkpoint(tmp_path, resume=True, overwrite=False) is None
    (tmp_path / "note").write_text("mine")
    with pytest.raises(UsageError, match="is not empty: --resume goes on, --overwrite starts"):
        last_checkpoint(tmp_path, resume=False, overwrite=False)


def test_the_recipe_of_hub_models_trains_a_model_of_another_template(data, tmp_path):
    """Qwen3 recipe on a stand-in: a fresh model whose own template is not ours."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    base = tmp_path / "base"
    config = AutoConfig.from_pretrained("finetune/tiny/model")
    config.num_hidden_layers, config.layer_types = 1, ["full_attention"]
    AutoModelForCausalLM.from_config(config).save_pretrained(base)
    tokenizer = AutoTokenizer.from_pretrained("finetune/tiny/model")
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    tokenizer.save_pretrained(base)
    out = tmp_path / "out"
    small = ("max_steps=1", "per_device_train_batch_size=2", "use_cpu=true")
    code = train(
        config=Path("configs/finetune/qwen3.yaml"), data=data, out=out,
        overrides=(f"model_name_or_path={base}", *small, "disable_tqdm=true"),
    )  # fmt: skip
    assert code == 0
    assert "generation" in (out / "chat_template.jinja").read_text()
    assert read_manifest(out).base == str(base)


def test_an_unknown_base_says_what_to_do():
    with pytest.raises(UsageError, match="neither a directory here nor a model of the hub"):
        ensure("no-such/model")
