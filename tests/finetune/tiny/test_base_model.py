"""The committed base: bound to the renderer, loads by itself, writes designs, holds its beliefs."""

import numpy as np
import pytest

from cim_sim.config import load
from cim_sim.space import Space
from finetune.tiny.base_card import MANIFEST, BaseManifest, measure, weights_digest
from finetune.tiny.base_model import MODEL, Pretraining, batches, pretrain, tokenise
from finetune.tiny.corpus import SPACES, conversations
from search.llm.examples import renderer_digest


@pytest.fixture
def manifest():
    return BaseManifest.model_validate_json((MODEL / MANIFEST).read_text())


def test_the_base_was_taught_with_the_renderer_that_the_search_uses(manifest):
    assert manifest.renderer == renderer_digest(), (
        "the prompt renderer changed: the embedded base no longer knows its prompts; "
        "run make base-model and commit finetune/tiny/model"
    )


def test_manifest_and_card_speak_of_the_committed_weights(manifest):
    card = (MODEL / "README.md").read_text(encoding="utf-8")
    assert manifest.weights == weights_digest(MODEL)
    assert manifest.weights in card
    assert "a stand-in for a general language model" in card
    assert Pretraining.model_validate(manifest.recipe) == Pretraining()


def test_the_base_is_small_and_takes_a_head_size_that_vllm_knows(base):
    model, _ = base
    assert 1.5e6 < model.num_parameters() < 3e6
    assert model.config.head_dim in (32, 64)
    assert (MODEL / "model.safetensors").stat().st_size < 10e6


@pytest.mark.slow
def test_nearly_all_answers_are_valid_and_widths_grow(base, monkeypatch):
    monkeypatch.setattr("finetune.tiny.base_card.ASKED", 48)
    figures = measure(*base)
    assert figures["valid"] >= 0.9  # 98 % in truth: fewer than 90 % of 48 once in 400 such samples
    assert figures["growing"] > 0.9
    assert figures["distinct"] > 0.5


def test_conversations_are_a_function_of_the_seed_and_name_every_space():
    first, again = list(conversations(40, 3)), list(conversations(40, 3))
    assert first == again
    assert first != list(conversations(40, 4))
    questions = " ".join(dialogue[1]["content"] for dialogue in first)
    for path in SPACES:
        assert f"Channels: {','.join(map(str, load(path, Space).channels))}." in questions
    assert "infeasible" in questions


def test_broken_answers_are_sent_back_in_the_words_of_the_search():
    retries = [d for d in conversations(120, 0) if len(d) > 3]
    assert retries
    assert all(d[3]["content"].startswith("Your answer cannot be used: ") for d in retries)


def test_the_mask_covers_the_answer_and_its_end(base):
    _, tokenizer = base
    (dialogue,) = conversations(1, 5)
    example = tokenise(tokenizer, dialogue)
    taught = [token for token, mine in zip(example.ids, example.answer, strict=True) if mine]
    assert tokenizer.decode(taught) == dialogue[-1]["content"] + tokenizer.eos_token
    assert example.answer[-1]


def test_batches_hold_each_conversation_once_within_the_budget(base):
    _, tokenizer = base
    examples = [tokenise(tokenizer, dialogue) for dialogue in conversations(60, 6)]
    cut = list(batches(examples, Pretraining()))
    assert sorted(len(e.ids) for batch in cut for e in batch) == sorted(
        len(e.ids) for e in examples
    )
    assert all(len(b) * max(len(e.ids) for e in b) <= 4096 for b in cut)


@pytest.mark.slow
def test_pretraining_learns_and_repeats(base):
    from finetune.tiny.base_model import build_model

    _, tokenizer = base
    recipe = Pretraining(hidden_size=64, intermediate_size=64, layers=1, heads=1)
    examples = [tokenise(tokenizer, dialogue) for dialogue in conversations(100, 7)]
    runs = [list(pretrain(build_model(recipe, tokenizer), examples, recipe)) for _ in range(2)]
    assert runs[0] == runs[1]
    assert np.mean(runs[0][-2:]) < runs[0][0] - 0.5
