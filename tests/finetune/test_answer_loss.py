"""The loss of dialogues: at the taught answers' tokens only, and the same number as TRL's."""

import json

import pytest
import torch

from cim_sim.config import UsageError
from finetune.answer_loss import MASKED, answer_loss
from finetune.inference import fixed_prompts
from finetune.merge import load_tuned
from finetune.train import fit, prepare
from search.llm.examples import renderer_digest

SETTINGS = (
    "lora_target_modules=[q_proj,v_proj]",
    "lora_dropout=0.0",
)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trainer(recipe_file, dialogues, tmp_path_factory):
    settings = (*SETTINGS, "layers_to_transform=[1]", "shuffle_dataset=false")
    return prepare(recipe_file, settings, dialogues, tmp_path_factory.mktemp("out"))[0]


@pytest.fixture(scope="module")
def batch(trainer):
    """Three dialogues of different lengths; padding makes a difference."""
    rows = [trainer.train_dataset[place] for place in range(3)]
    assert len({len(row["input_ids"]) for row in rows}) > 1
    return trainer.data_collator(rows)


def marked_tokens(tokenizer, turns):
    """Yield each token of a conversation and whether it is taught, turn by turn from the rules."""
    start, end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    for turn in turns:
        head = tokenizer(f"{turn['role']}\n")["input_ids"]
        body = tokenizer(turn["content"])["input_ids"]
        yield from ((token, False) for token in (start, *head))
        yield from ((token, turn["train"]) for token in (*body, end))
        yield from ((token, False) for token in tokenizer("\n")["input_ids"])


def test_token_by_token_only_taught_answers_and_their_ends_carry_loss(trainer, dialogues):
    lines = (dialogues / "messages" / "train.jsonl").read_text().splitlines()
    assert len(lines) == len(trainer.train_dataset)
    for line, row in zip(lines, trainer.train_dataset, strict=True):
        turns = json.loads(line)["messages"]
        expected = list(marked_tokens(trainer.processing_class, turns))
        assert row["input_ids"] == [token for token, _ in expected]
        assert row["labels"] == [token if taught else MASKED for token, taught in expected]
        untaught = [turn for turn in turns if turn["role"] == "assistant" and not turn["train"]]
        for turn in untaught:
            assert turn["content"] not in trainer.processing_class.decode(
                [token for token in row["labels"] if token != MASKED]
            )


def test_loss_and_gradient_are_those_of_trl(trainer, batch):
    from trl import SFTTrainer

    theirs = SFTTrainer.compute_loss(trainer, trainer.model, dict(batch))
    theirs.backward()
    parameters = [p for p in trainer.model.parameters() if p.grad is not None]
    expected = [p.grad.clone() for p in parameters]
    trainer.model.zero_grad()
    ours = trainer.compute_loss(trainer.model, dict(batch))
    ours.backward()
    assert abs(ours.item() - theirs.item()) < 1e-5
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-4)


def test_the_count_of_a_whole_step_divides_the_sum(trainer, batch):
    head = trainer.model.get_output_embeddings()
    total, count = answer_loss(trainer.model, head, batch)
    assert count == int((batch["labels"][:, 1:] != MASKED).sum())
    step = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=torch.tensor(500))
    assert step.item() == pytest.approx(total.item() / 500, rel=1e-5)


def test_a_recipe_s_bf16_is_what_layers_and_logits_compute_in(recipe_file, dialogues, tmp_path):
    """The arithmetic hangs on a wrapper of the model: a loss of our own must not leave it out."""
    trainer = prepare(recipe_file, (*SETTINGS, "bf16=true", "max_steps=1"), dialogues, tmp_path)[0]
    seen = []
    inner = trainer.model.get_base_model()
    for module in (inner.base_model.layers[0].mlp.gate_proj, inner.get_output_embeddings()):
        module.register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    trainer.train()
    assert set(seen) == {torch.bfloat16}


def test_only_the_chosen_layers_have_adapters(trainer):
    adapted = {name.split(".layers.")[1][0] for name, p in trainer.model.named_parameters()
               if p.requires_grad}  # fmt: skip
    assert adapted == {"1"}


def used_share(trainer):
    """Share of the tokens of all batches that are not padding."""
    masks = [batch["attention_mask"] for batch in trainer.get_train_dataloader()]
    return sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)


def test_batches_hold_dialogues_of_like_length(recipe_file, dialogues, tmp_path):
    shares = []
    for strategy in ("random", "group_by_length"):
        settings = (f"train_sampling_strategy={strategy}", "per_device_train_batch_size=2")
        shares.append(used_share(prepare(recipe_file, settings, dialogues, tmp_path)[0]))
    assert shares[1] > shares[0]


def test_a_recipe_that_would_learn_the_results_is_refused(recipe_file, dialogues, tmp_path):
    with pytest.raises(UsageError, match="write assistant_only_loss: true"):
        prepare(recipe_file, ("assistant_only_loss=false",), dialogues, tmp_path)


def test_layers_without_names_are_refused(recipe_file, dialogues, tmp_path):
    with pytest.raises(UsageError, match="layers_to_transform needs the names"):
        prepare(recipe_file, ("layers_to_transform=[1]",), dialogues, tmp_path)


def test_an_adapter_taught_dialogues_is_checked_with_dialogues(recipe_file, dialogues, tmp_path):
    trainer, recipe, _ = prepare(recipe_file, SETTINGS, dialogues, tmp_path)
    summary = fit(trainer, recipe, dialogues, None)
    assert summary["losses"]["held-out after"] < summary["losses"]["held-out before"]
    tuned = load_tuned(tmp_path)
    assert tuned.renderer == renderer_digest("dialogue")
    assert all(prompt[0]["role"] == "user" for prompt in fixed_prompts(tuned.renderer))
