"""What is looked at before training: the mask covers the answer and its end, and nothing else."""

import json

import pytest

from cim_sim.config import UsageError
from finetune.dataset import read_manifest
from finetune.preflight import MASKED, describe, inspect


def test_only_the_answer_and_its_end_are_trained_on(prepared, data):
    trainer, _, check = prepared
    tokenizer, rows = trainer.processing_class, trainer.train_dataset
    texts = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    for row, text in zip(rows, texts, strict=True):
        learnt = [token for token in row["labels"] if token != MASKED]
        assert tokenizer.decode(learnt) == text["completion"][0]["content"] + "<|im_end|>"
    assert check.examples == read_manifest(data).counts["train"]
    assert check.truncated == 0
    assert 0 < check.trainable_parameters < check.parameters / 10


def test_a_mask_without_answer_or_end_is_refused(prepared, monkeypatch):
    trainer, *_ = prepared
    rows = trainer.train_dataset.select(range(1))
    ids, labels = rows["input_ids"][0], rows["labels"][0]
    for wrong, reason in (
        ([MASKED] * len(ids), "0 of"),
        (ids, "tokens are supervised"),
        ([*labels[:-2], MASKED, MASKED], "would never learn to stop"),
    ):
        spoilt = rows.remove_columns("labels").add_column("labels", [wrong])
        monkeypatch.setattr(trainer, "train_dataset", spoilt)
        with pytest.raises(UsageError, match=reason):
            inspect(trainer, 1)


def test_a_dry_run_shows_one_example_with_its_mask(prepared):
    trainer, *_ = prepared
    shown = describe(trainer)
    assert ">>>trained on>>>" in shown
    assert shown.split(">>>trained on>>>")[1].split("<<<")[0].endswith("<|im_end|>")
