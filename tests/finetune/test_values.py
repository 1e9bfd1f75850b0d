"""The accuracies that a dialogue says of poor designs are taught, and nothing else of them."""

import json
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cim_sim.config import UsageError
from datasets import Dataset
from finetune.answer_loss import MASKED
from finetune.train import prepare
from finetune.values import SAID, value_places, with_values

TOLD = "Limits: area none, accuracy 0.55.\nAdd the accuracy that you expect."


def turn(tokenizer, role, text):
    return tokenizer(f"<|im_start|>{role}\n{text}<|im_end|>\n")["input_ids"]


def digits_found(tokenizer, ids):
    said = tokenizer(SAID)["input_ids"]
    return tokenizer.decode([ids[place] for place in value_places(ids, said, tokenizer)])


def test_only_what_an_answer_says_is_found_and_no_limit_or_result(smollm2_tokenizer):
    turns = [
        ("user", TOLD),
        ("assistant", "[[16,3],[24,5]] accuracy 0.41"),
        ("user", "infeasible: accuracy 0.412"),
        ("assistant", "[[16,3],[24,7]]"),
        ("user", "infeasible: area 45.1 mm2"),
        ("assistant", '{"layers":[[16,3]],"hardware":{"mapping":"novel"}} accuracy 0.63'),
        ("user", "reward 0.297"),
    ]
    ids = [token for role, text in turns for token in turn(smollm2_tokenizer, role, text)]
    assert digits_found(smollm2_tokenizer, ids) == "4163"


@given(hundredths=st.lists(st.integers(0, 99), max_size=6))
def test_each_accuracy_is_found_once_and_in_order(smollm2_tokenizer, hundredths):
    said = [f"[[16,3]] accuracy 0.{value:02d}" for value in hundredths]
    ids = [token for text in said for token in turn(smollm2_tokenizer, "assistant", text)]
    expected = "".join(f"{value:02d}" for value in hundredths)
    assert digits_found(smollm2_tokenizer, ids) == expected


@pytest.mark.slow
def test_of_poor_designs_the_accuracy_alone_is_taught(recipe_file, foreseeing, tmp_path):
    trainer = prepare(recipe_file, (), foreseeing, tmp_path)[0]
    lines = (foreseeing / "messages" / "train.jsonl").read_text().splitlines()
    said = 0
    for line, row in zip(lines, trainer.train_dataset, strict=True):
        spoken = [one for one in json.loads(line)["messages"] if one["role"] == "assistant"]
        expected = [
            one["content"] + "<|im_end|>" if one["train"] else one["content"][-2:]
            for one in spoken
            if one["train"] or " accuracy 0." in one["content"]
        ]
        learnt = [token for token in row["labels"] if token != MASKED]
        assert trainer.processing_class.decode(learnt) == "".join(expected)
        said += sum(not one["train"] for one in spoken)
    assert said


def test_a_tokenizer_whose_turns_end_elsewhere_is_refused(smollm2_tokenizer):
    other = deepcopy(smollm2_tokenizer)
    other.eos_token = "<|endoftext|>"
    with pytest.raises(UsageError, match=r"digits of ' accuracy 0.53' apart.*value: false under"):
        with_values(Dataset.from_dict({"input_ids": [[1]], "labels": [[1]]}), other)
