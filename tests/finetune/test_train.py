"""Training: the mask is right, the adapter is complete, a resume goes on where it was."""

import json
import shutil
from pathlib import Path

import pytest

from cim_sim.config import UsageError
from finetune.adapter import read_manifest, require_base
from finetune.dataset import read_manifest as read_data
from finetune.merge import MERGED, WORST_MEAN, load_tuned, merge_adapter
from finetune.preflight import MASKED, command, describe, inspect
from finetune.train import fit, last_checkpoint, prepare, resolve_base, train
from search.llm.model import directory_digest
from search.llm.prompt import renderer_digest


@pytest.fixture(scope="module")
def prepared(recipe_file, data, tmp_path_factory):
    return prepare(recipe_file, (), data, tmp_path_factory.mktemp("prepared"))


def test_only_the_answer_and_its_end_are_trained_on(prepared, data):
    trainer, _, check = prepared
    tokenizer, rows = trainer.processing_class, trainer.train_dataset
    texts = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    for row, text in zip(rows, texts, strict=True):
        learnt = [token for token in row["labels"] if token != MASKED]
        assert tokenizer.decode(learnt) == text["completion"][0]["content"] + "<|im_end|>"
    assert check.examples == read_data(data).counts["train"]
    assert check.truncated == 0
    assert 0 < check.trainable_parameters < check.parameters / 10


def test_a_mask_without_answer_or_end_is_refused(prepared, monkeypatch):
    trainer, *_ = prepared
    rows = trainer.train_dataset.select(range(1))
    ids, labels = rows["input_ids"][0], rows["labels"][0]
    for wrong, reason in (
        ([MASKED] * len(ids), "0 of"),
        (ids, "tokens are supervised"),
        ([*labels[:-1], MASKED], "would never learn to stop"),
    ):
        spoilt = rows.remove_columns("labels").add_column("labels", [wrong])
        monkeypatch.setattr(trainer, "train_dataset", spoilt)
        with pytest.raises(UsageError, match=reason):
            inspect(trainer, 1)


def test_a_dry_run_shows_one_example_with_its_mask(prepared):
    trainer, _, check = prepared
    shown = describe(trainer, check)
    assert ">>>trained on>>>" in shown
    assert shown.split(">>>trained on>>>")[1].split("<<<")[0].endswith("<|im_end|>")
    assert "memory_gb" in shown
    green = describe(trainer, check, colour=True)
    assert green.split("\033[32m")[1].split("\033[0m")[0].endswith("<|im_end|>")


def test_a_dry_run_ends_with_the_command_that_trains():
    words = command(Path("r.yaml"), ("max_steps=3",), Path("d"), Path("my run"))
    expected = "python -m finetune train --config r.yaml --data d --out 'my run' --set max_steps=3"
    assert words == expected


def test_the_manifest_says_where_the_adapter_comes_from(adapter, data):
    manifest = read_manifest(adapter)
    base = resolve_base(manifest.base, None)
    assert manifest.base_digest == directory_digest(base)
    assert manifest.trained_on == read_data(data).trained_on
    assert manifest.renderer == renderer_digest()
    assert manifest.steps == 4
    assert manifest.losses["held-out after"] < manifest.losses["held-out before"]
    assert manifest.versions.keys() >= {"trl", "peft", "torch"}
    assert (adapter / "chat_template.jinja").is_file()
    assert manifest.base_digest in (adapter / "README.md").read_text()
    require_base(adapter, base)


def test_peft_loads_the_adapter_with_nothing_else(adapter):
    from peft import AutoPeftModelForCausalLM

    model = AutoPeftModelForCausalLM.from_pretrained(adapter)
    assert model.peft_config["default"].r == 4
    assert model.peft_config["default"].modules_to_save is None


def test_another_base_is_refused(adapter, tmp_path):
    shutil.copytree(resolve_base("finetune/embedded", None), tmp_path / "base")
    (tmp_path / "base" / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"trained on a base with digest .*train again"):
        require_base(adapter, tmp_path / "base")


def test_a_merged_copy_answers_as_the_adapter_does(adapter):
    assert merge_adapter(adapter) < WORST_MEAN
    assert (adapter / MERGED / "model.safetensors").is_file()
    assert (adapter / MERGED / "chat_template.jinja").is_file()


def test_an_unfinished_adapter_is_refused(adapter, tmp_path):
    (tmp_path / "adapter_config.json").write_bytes((adapter / "adapter_config.json").read_bytes())
    with pytest.raises(UsageError, match=r"adapter_manifest.json is missing: no finished adapter"):
        load_tuned(tmp_path)


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
    config = AutoConfig.from_pretrained("finetune/embedded")
    config.num_hidden_layers, config.layer_types = 1, ["full_attention"]
    AutoModelForCausalLM.from_config(config).save_pretrained(base)
    tokenizer = AutoTokenizer.from_pretrained("finetune/embedded")
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    tokenizer.save_pretrained(base)
    out = tmp_path / "out"
    small = ("max_steps=1", "per_device_train_batch_size=2", "bf16=false", "use_cpu=true")
    code = train(
        config=Path("configs/finetune/qwen3.yaml"), data=data, out=out,
        set=(f"model_name_or_path={base}", *small, "disable_tqdm=true"),
    )  # fmt: skip
    assert code == 0
    assert "generation" in (out / "chat_template.jinja").read_text()
    assert read_manifest(out).base == str(base)


def test_an_unknown_base_says_what_to_do():
    with pytest.raises(UsageError, match="neither a directory here nor a model of the hub"):
        resolve_base("no-such/model", None)
