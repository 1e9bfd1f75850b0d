"""Merging: the copy answers as the adapter does, and both load."""

import shutil

import pytest

from cim_sim.config import Stopped, UsageError
from finetune import merge as module
from finetune.adapter import WEIGHTS
from finetune.merge import WORST_MEAN, load_model, load_tuned, merge_adapter
from search.record.adapter import MERGED


@pytest.mark.slow
def test_a_merged_copy_answers_as_the_adapter_does(adapter, tmp_path):
    from peft import PeftModel

    shutil.copytree(adapter, tmp_path / "adapter", ignore=shutil.ignore_patterns("checkpoint-*"))
    assert merge_adapter(tmp_path / "adapter") < WORST_MEAN
    merged, tokenizer = load_model(tmp_path / "adapter" / MERGED)
    unmerged, _ = load_model(tmp_path / "adapter")
    assert isinstance(unmerged, PeftModel)
    assert not isinstance(merged, PeftModel)
    assert tokenizer.chat_template == (adapter / "chat_template.jinja").read_text()


@pytest.mark.slow
def test_a_merge_that_answers_otherwise_is_not_kept(adapter, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "mean_difference", lambda *_: 0.2)
    with pytest.raises(Stopped, match=r"merged and unmerged differ by 0\.2000 nats a token"):
        merge_adapter(adapter, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_something_else_is_not_replaced_by_a_merge(tmp_path):
    for name in ("adapter_manifest.json", "adapter_config.json"):  # as in an adapter's directory
        (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError, match="something else than a merged model; give another --out"):
        merge_adapter(tmp_path / "adapter", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_unfinished_adapter_is_refused(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"adapter_manifest.json: .*no finished adapter"):
        load_tuned(tmp_path)


def damaged(adapter, tmp_path, change):
    """Copy an adapter with other weights."""
    from safetensors.torch import load_file, save_file

    copy = tmp_path / "adapter"
    shutil.copytree(adapter, copy, ignore=shutil.ignore_patterns("checkpoint-*", MERGED))
    weights = change(load_file(copy / WEIGHTS))
    save_file(weights, copy / WEIGHTS, metadata={"format": "pt"})
    return copy


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda all_: {k: v * float("nan") for k, v in all_.items()}, "is not finite"),
        (lambda all_: dict(list(all_.items())[1:]), r"1 faults: .*lora_A\.weight is missing"),
        (lambda all_: {f"x.{k}": v for k, v in all_.items()}, "is missing"),
        (lambda all_: {k: v[:1] for k, v in all_.items()}, "PEFT cannot load the adapter: Runtime"),
    ],
)
def test_weights_that_are_not_the_adapter_s_are_refused(adapter, tmp_path, change, fault):
    with pytest.raises(UsageError, match=fault):
        merge_adapter(damaged(adapter, tmp_path, change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("adapter_config.json", "[]", "is no configuration of a LoRA adapter"),
        ("adapter_config.json", '{"peft_type": "EVIL"}', "is no configuration of a LoRA adapter"),
        ("adapter_config.json", '{"peft_type": "LORA", "r": "x"}', "PEFT cannot load the adapter"),
        ("adapter_config.json", "[" * 9999, "nested too deeply"),
        (WEIGHTS, "torn", "PEFT cannot load the adapter: SafetensorError"),
    ],
)
def test_damaged_files_of_an_adapter_are_named(adapter, tmp_path, name, text, fault):
    copy = damaged(adapter, tmp_path, lambda weights: weights)
    (copy / name).write_text(text)
    with pytest.raises(UsageError, match=fault):
        load_tuned(copy)
