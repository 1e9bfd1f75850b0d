"""Training a judge: the mean of the digits that are weighed is the accuracy, and orders designs."""

import json
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft.tuners.tuners_utils import BaseTunerLayer

from cim_sim.config import UsageError
from datasets import Dataset
from finetune import judging
from finetune.adapter import put_on
from finetune.commands.train import train
from finetune.dataset import read_split
from finetune.merge import load_model
from finetune.train import fit, prepare
from finetune.values import SAID
from search.llm.foreseen import Token, expected_accuracy

SETTINGS = (
    "per_device_train_batch_size=1",
    "per_device_eval_batch_size=1",
    "assistant_only_loss=false",
)
DIGITS = torch.arange(10)


ACCURACIES = st.integers(45, 945).map(lambda thousandths: thousandths / 1000)
"""Those whose mean digit lies between 0 and 9."""


def logits(probabilities):
    return probabilities.clamp(min=1e-9).log()


@given(mean=st.lists(st.floats(0, 9), min_size=1, max_size=8).map(torch.tensor))
def test_labels_are_probabilities_with_the_mean_that_is_wanted(mean):
    labels = judging.two_hot(mean)
    assert labels.min() >= 0
    torch.testing.assert_close(labels.sum(-1), torch.ones(len(mean)))
    torch.testing.assert_close(labels @ torch.arange(10.0), mean, atol=1e-5, rtol=0)
    assert ((labels > 0).sum(-1) <= 2).all()


@given(accuracy=ACCURACIES)
def test_a_search_reads_the_accuracy_that_was_taught(accuracy):
    tenths = judging.two_hot(torch.tensor([10 * accuracy - judging.HUNDREDTHS / 10]))[0]
    hundredths = judging.two_hot(torch.tensor([judging.HUNDREDTHS]))[0]
    said = [
        Token(
            str(int(row.argmax())), 0.0, dict(zip("0123456789", logits(row).tolist(), strict=True))
        )
        for row in (tenths, hundredths)
    ]
    read = expected_accuracy(said, "[[16,3]] accuracy 0.")
    assert read == pytest.approx(accuracy, abs=1e-4)


@given(
    said=st.lists(st.integers(0, 90), min_size=3, max_size=8, unique=True),
    seed=st.integers(0, 99),
)
def test_the_order_is_the_correlation(said, seed):
    one = torch.tensor(said) / 10.0
    other = torch.tensor(np.random.default_rng(seed).random(len(said)))
    wanted = np.corrcoef(one.numpy(), other.numpy())[0, 1]
    assert float(judging.order(one.double(), other)) == pytest.approx(wanted, abs=0.05)


def test_equal_designs_have_no_order_and_a_gradient_that_is_a_number():
    said = torch.full((4,), 3.0, requires_grad=True)
    found = judging.order(said, torch.rand(4))
    assert float(found.detach()) == pytest.approx(0, abs=1e-3)
    found.backward()
    assert said.grad.isfinite().all()


@given(found=st.lists(ACCURACIES, min_size=2, max_size=8).map(torch.tensor))
def test_digits_can_be_taught_instead_of_their_mean(found):
    tenths, hundredths = judging.labels_of(found, mean=False)
    assert (tenths.max(-1).values == 1).all()
    digits = torch.arange(10.0)
    read = (tenths @ digits) / 10 + (hundredths @ digits) / 100
    torch.testing.assert_close(read, found, atol=0.0051, rtol=0)
    taught = {"mean": False, "ordered": False}
    right = judging.judged_loss(logits(tenths), logits(hundredths), DIGITS, found, **taught)
    assert float(right) == pytest.approx(0, abs=1e-5)


@given(found=st.lists(ACCURACIES, min_size=2, max_size=8).map(torch.tensor))
def test_no_answer_costs_less_than_the_right_one(found):
    right = logits(judging.two_hot(10 * found - judging.HUNDREDTHS / 10))
    nothing = logits(judging.two_hot(torch.full_like(found, judging.HUNDREDTHS)))
    least = judging.judged_loss(right, nothing, DIGITS, found)
    for tenths, hundredths in ((right.roll(1, -1), nothing), (right, nothing.roll(1, -1))):
        assert judging.judged_loss(tenths, hundredths, DIGITS, found) > least


def test_tokens_are_prompt_and_design_up_to_its_digits(judged, smollm2_tokenizer):
    lessons = read_split(judged, "train")
    for lesson, row in zip(lessons, judging.rows(lessons, smollm2_tokenizer), strict=True):
        told = smollm2_tokenizer.decode(row["input_ids"])
        assert told.endswith("Add the accuracy that you expect.<|im_end|>\n<|im_start|>assistant\n")
        for turn, design, tenth, accuracy in zip(
            lesson["completion"],
            row["design_ids"],
            row["tenth_ids"],
            row["accuracies"],
            strict=True,
        ):
            said = turn["content"][:-1]
            assert smollm2_tokenizer.decode([*design, tenth]) == said
            # As a server reads the prompt and the beginning of an answer, in one text.
            asked = smollm2_tokenizer.apply_chat_template(
                [*lesson["prompt"], {**turn, "content": said[:-1]}],
                continue_final_message=True,
                return_dict=False,
            )
            assert asked == row["input_ids"] + design
            assert turn["content"].endswith(f" accuracy {accuracy:.2f}")


def test_blocks_are_of_one_length_and_read_at_their_digits():
    lesson = {
        "input_ids": [1, 2, 3],
        "design_ids": [[10, 11], [20, 21, 22, 23]],
        "tenth_ids": [4, 5],
        "accuracies": [0.41, 0.52],
    }
    batch = judging.collated([lesson])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 10, 11, 4, 4, 4, 20, 21, 22, 23, 5]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5, 6, 7, 3, 4, 5, 6, 7]]
    assert batch["input_ids"][0, batch["places"]].tolist() == [11, 23]
    assert batch["input_ids"][0, batch["places"] + 1].tolist() == [4, 5]
    with pytest.raises(UsageError, match="write per_device_train_batch_size: 1"):
        judging.collated([lesson, lesson])


def test_a_tokenizer_that_joins_digits_makes_no_judge(smollm2_tokenizer):
    joining = deepcopy(smollm2_tokenizer)
    joining.add_tokens(["53"])
    with pytest.raises(UsageError, match=r"join the digits.*train it on dialogues"):
        judging.rows(Dataset.from_list([{"prompt": [], "completion": []}]), joining)


def test_a_template_that_puts_thoughts_before_an_answer_makes_no_judge(smollm2_tokenizer):
    thinking = deepcopy(smollm2_tokenizer)
    thinking.chat_template = thinking.chat_template.replace(
        "{%- generation -%}", "{%- generation -%}{{- '<think></think>' -}}"
    )
    assert thinking.chat_template != smollm2_tokenizer.chat_template
    lesson = {
        "prompt": [{"role": "user", "content": "Propose."}],
        "completion": [{"role": "assistant", "content": f"[[16,3]]{SAID}53"}],
    }
    with pytest.raises(UsageError, match="puts something before an answer that is begun"):
        judging.rows(Dataset.from_list([lesson]), thinking)


def test_an_answer_without_an_accuracy_is_refused(smollm2_tokenizer):
    lesson = {
        "prompt": [{"role": "user", "content": "Propose."}],
        "completion": [{"role": "assistant", "content": "[[16,3]]"}],
    }
    with pytest.raises(UsageError, match=r"answer without accuracy 0\.NN at its end"):
        judging.rows(Dataset.from_list([lesson]), smollm2_tokenizer)


def test_a_dry_run_shows_scenario_designs_and_accuracies(recipe_file, judged, tmp_path, capsys):
    asked = {"data": judged, "out": tmp_path / "out", "config": recipe_file, "overrides": SETTINGS}
    assert train(**asked, dry_run=True) == 0
    shown = capsys.readouterr().out
    lesson = read_split(judged, "train")[0]
    assert lesson["prompt"][0]["content"].splitlines()[0] in shown
    assert lesson["completion"][0]["content"] in shown
    assert "accuracies: [0." in shown
    assert "_ids" not in shown


def test_a_judge_learns_by_imitation_alone(recipe_file, judged, tmp_path):
    file = tmp_path / "dpo.yaml"
    kept = [line for line in recipe_file.read_text().splitlines() if "assistant_only" not in line]
    file.write_text("\n".join(kept))
    with pytest.raises(UsageError, match="gives judgements, of which method dpo knows nothing"):
        prepare(file, ("method=dpo",), judged, tmp_path / "out")


def test_what_autocast_narrows_is_not_widened_first_and_the_numbers_are_the_same(
    recipe_file, judged, tmp_path
):
    trainer, *_ = prepare(
        recipe_file, (*SETTINGS, "bf16=true", "lora_dropout=0"), judged, tmp_path / "out"
    )
    adapters = [one for one in trainer.model.modules() if isinstance(one, BaseTunerLayer)]
    assert adapters
    assert not any(one.cast_input_dtype_enabled for one in adapters)
    batch = next(iter(trainer.get_train_dataloader()))
    found = []
    for casts in (False, True):
        for adapter in adapters:
            adapter.cast_input_dtype_enabled = casts
        trainer.model.zero_grad()
        trainer.compute_loss(trainer.model, batch).backward()
        gradients = [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]
        found.append(gradients)
    assert any(gradient.any() for gradient in found[0])
    torch.testing.assert_close(*found, atol=0, rtol=0)


def test_the_seed_draws_the_first_weights_of_the_adapter(recipe_file, judged, tmp_path):
    def first(seed):
        settings = (*SETTINGS, f"seed={seed}")
        trainer, *_ = prepare(recipe_file, settings, judged, tmp_path / "out")
        return {n: p.detach().clone() for n, p in trainer.model.named_parameters() if "lora_A" in n}

    one, again, other = first(0), first(0), first(1)
    assert one
    for name, weights in one.items():
        assert torch.equal(weights, again[name])
        assert not torch.equal(weights, other[name])


@pytest.mark.slow
def test_a_training_orders_what_it_was_shown_and_its_adapter_needs_no_own_attention(
    recipe_file, judged, small_model, tmp_path
):
    out = tmp_path / "judge"
    trainer, recipe, check = prepare(recipe_file, (*SETTINGS, "max_steps=40"), judged, out)
    assert check.examples == len((judged / "train.jsonl").read_text().splitlines())
    trainer.eval_dataset = trainer.train_dataset
    before = trainer.evaluate()
    losses = fit(trainer, recipe, judged, None)["losses"]
    assert losses["held-out after"] < before["eval_loss"] - 0.5
    assert losses["correlation"] > before["eval_correlation"] + 0.2
    assert losses["error"] < before["eval_error"]
    manifest = json.loads((out / "adapter_manifest.json").read_text())
    assert manifest["losses"].keys() == losses.keys()
    card = (out / "README.md").read_text()
    assert "# A LoRA adapter that judges pairs" in card
    assert f"correlation: {losses['correlation']:.4f} (of expected and true accuracies" in card
    tuned = put_on(load_model(small_model)[0], out)
    assert tuned.config._attn_implementation == "sdpa"
