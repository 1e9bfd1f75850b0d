"""How many of SmolLM2's tokens a dialogue takes."""

from pathlib import Path
from typing import get_args

import pytest

from cim_sim.config import load
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from finetune.inference import encode, fixed_prompts
from search.llm.examples import renderer_digest
from search.llm.model import ModelConfig
from search.llm.prompt import render
from search.study.cut import Split
from search.study.family import tasks

SPACES = {path.stem: load(path, Space) for path in Path("configs/spaces").glob("*.yaml")}
MOST = 250


def tokens(tokenizer, prompt):
    return len(encode(tokenizer, prompt, "")[0])


@pytest.mark.parametrize(
    "path", sorted(Path("configs/scenarios").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_committed_scenario_is_told_in_250_tokens(path, smollm2_tokenizer):
    scenario = load(path, Scenario)
    for space in SPACES.values():
        if ("cell_bits" in space.freed) == (scenario.hardware.cell_bits is None):
            prompt = render(scenario, space, [], "dialogue")
            assert tokens(smollm2_tokenizer, prompt) <= MOST


@pytest.mark.parametrize("split", get_args(Split))
def test_every_task_of_the_family_is_too(split, smollm2_tokenizer):
    for task in tasks(split, 12):
        prompt = render(task.scenario, task.space, [], "dialogue")
        assert tokens(smollm2_tokenizer, prompt) <= MOST


def test_a_step_adds_few_tokens_and_the_longest_dialogue_fits(smollm2_tokenizer):
    model = load("configs/models/base.yaml", ModelConfig)
    prompts = fixed_prompts(renderer_digest("dialogue"))
    lengths = {}
    for prompt in prompts:
        first, turns = tokens(smollm2_tokenizer, prompt[:1]), len(prompt) // 2
        lengths[turns] = tokens(smollm2_tokenizer, prompt)
        assert lengths[turns] - first <= 80 * turns
    assert 0 in lengths
    # The longest has 23 designs of at most 80 tokens; two retries of 600 characters each follow.
    assert MOST + 23 * 80 + 2 * 2 * 300 + model.sampling.max_tokens < model.max_model_len
