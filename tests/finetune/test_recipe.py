"""Recipes: TRL's names, all faults at once, and nothing that vLLM would not serve."""

import os
from pathlib import Path

import pytest
import yaml

from cim_sim.config import UsageError
from finetune.recipe import TRL_NAMES, load_recipe, told
from search.llm import precision

INSTALLED = "transformers.integrations.integration_utils.get_available_reporting_integrations"


def write(tmp_path, text):
    file = tmp_path / "recipe.yaml"
    file.write_text("model_name_or_path: x\nuse_peft: true\nbf16: false\n" + text)
    return file


def fault(tmp_path, text, *overrides):
    with pytest.raises(UsageError) as error:
        load_recipe(write(tmp_path, text), overrides, tmp_path / "out")
    return str(error.value)


def test_the_command_line_wins_over_the_file(tmp_path):
    file = write(tmp_path, "learning_rate: 1.0e-3\nlora_target_modules: all-linear\n")
    recipe = load_recipe(file, ("learning_rate=2e-3", "max-steps=7"), tmp_path / "out")
    assert recipe.training.learning_rate == 0.002
    assert recipe.training.max_steps == 7
    assert recipe.model.lora_target_modules == "all-linear"
    assert recipe.training.output_dir == str(tmp_path / "out")


def test_all_faults_are_named_at_once(tmp_path):
    said = fault(tmp_path, "learning_rat: 1\nlora_r: many\nmicro_batch_size: 4\n")
    assert "learning_rat is not known; did you mean learning_rate?" in said
    assert "lora_r: Input should be a valid integer" in said
    assert "micro_batch_size is not known; TRL calls it per_device_train_batch_size" in said


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("use_dora: true\n", "use_dora: vLLM does not serve DoRA"),
        ("lora_modules_to_save: [lm_head]\n", "lora_modules_to_save: vLLM refuses such adapters"),
        ("lora_target_modules: [q_proj, lm_head]\n", "vLLM does not serve LoRA on lm_head"),
        ("output_dir: x\n", "output_dir is given by --out"),
        ("resume_from_checkpoint: x\n", "resume_from_checkpoint is given by --resume"),
        ("dataset_name: x\n", "dataset_name is given by --data"),
        ("hub_token: hf_mine\n", "hub_token is a secret, and a recipe is recorded: set"),
        ("trust_remote_code: true\n", "trust_remote_code: no code of a model is run here"),
    ],
)
def test_what_cannot_be_served_is_refused_before_training(tmp_path, text, reason):
    assert reason in fault(tmp_path, text)
    assert "only adapters are kept and served; set it to true" in fault(tmp_path, "", "use_peft=no")


def test_an_option_that_is_no_yaml_is_named(tmp_path):
    assert "--set lora_r: not YAML: " in fault(tmp_path, "", "lora_r=[")


def test_a_fault_of_an_option_is_not_blamed_on_the_file(tmp_path):
    said = fault(tmp_path, "lora_rank: 4\n", "lora_rr=4").splitlines()
    assert said[0].endswith("recipe.yaml: lora_rank is not known; TRL calls it lora_r")
    assert said[1] == "--set: lora_rr is not known; did you mean lora_r?"


@pytest.mark.parametrize("written", ["trackio", "[trackio, tensorboard]"])
def test_a_tracker_is_passed_on_to_trl(tmp_path, monkeypatch, written):
    monkeypatch.setattr(INSTALLED, lambda: ["tensorboard", "trackio"])
    recipe = load_recipe(write(tmp_path, f"report_to: {written}\n"), (), tmp_path / "out")
    assert recipe.training.report_to == yaml.safe_load(f"[{written.strip('[]')}]")


def test_no_tracker_is_on_unless_it_is_named(tmp_path):
    assert load_recipe(write(tmp_path, ""), (), tmp_path / "out").training.report_to == []


def test_an_absent_tracker_is_named_with_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(INSTALLED, list)
    said = fault(tmp_path, "report_to: [trackio, tensorbored]\n", "report_to=trackio")
    assert said.endswith("report_to: trackio is not installed; type: pip install trackio")
    said = fault(tmp_path, "report_to: tensorbored\n")
    assert "report_to: tensorbored is not known; choose from azure_ml, comet_ml" in said


def test_every_translation_leads_to_a_name_that_trl_knows():
    from dataclasses import fields

    from trl import ModelConfig, SFTConfig

    known = {field.name for kind in (ModelConfig, SFTConfig) for field in fields(kind)}
    assert {name.split(":")[0] for name in TRL_NAMES.values()} <= known
    assert not TRL_NAMES.keys() & known


@pytest.mark.parametrize("file", sorted(Path("configs/finetune").glob("*.yaml")), ids=str)
def test_committed_recipes_are_read(file, tmp_path):
    from cim_sim.config import load
    from finetune.gather import DataRecipe
    from finetune.rounds import load_rounds

    if file.name.startswith("dialogues"):
        assert bool(load(file, DataRecipe).surrogate_tasks) == (file.name != "dialogues-own.yaml")
    elif file.name.startswith("judgements"):
        assert load(file, DataRecipe).dataset.turns.judged == 32
    elif file.name == "rounds.yaml":
        assert load_rounds(file).dataset.style == "dialogue"
    elif file.name.endswith("-judge.yaml"):
        training = load_recipe(file, ("use_cpu=true",), tmp_path).training
        assert training.per_device_train_batch_size == training.per_device_eval_batch_size == 1
    else:
        recipe = load_recipe(file, ("use_cpu=true",), tmp_path)
        own = {"dpo": "loss_type", "grpo": "num_generations"}
        assert getattr(recipe.training, own.get(recipe.adaptation.method, "completion_only_loss"))


def test_what_trl_refuses_is_told_with_the_recipe(tmp_path):
    said = fault(tmp_path, "", "warmup_steps=-1")
    assert "recipe.yaml: TRL refuses the recipe: " in said


def test_accelerate_does_not_win_over_the_recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    file = tmp_path / "recipe.yaml"
    file.write_text("model_name_or_path: x\nuse_peft: true\nuse_cpu: true\nbf16: false\n")
    load_recipe(file, (), tmp_path / "out")
    assert os.environ.get("ACCELERATE_MIXED_PRECISION", "no") == "no"


def test_a_lone_word_is_no_override(tmp_path):
    assert "--set max_steps: expected key=value" in fault(tmp_path, "", "max_steps")


@pytest.mark.parametrize(
    ("slowdown", "line", "said"),
    [
        (18.0, "", "fp32: bf16 took 18 times as long as fp32 here"),
        (0.5, "", "bf16: bf16 took 0.5 times as long as fp32 here"),
        (18.0, "bf16: true\n", "bf16: named by bf16; warning: the choice of this machine is"),
        (0.5, "dtype: bfloat16\n", "bf16: named by dtype; use_cpu"),
        (18.0, "bf16: false\n", "fp32: named by bf16; use_cpu"),
        (0.5, "dtype: float32\n", "fp32: named by dtype"),
    ],
)
def test_precision_is_probed_unless_it_is_named(tmp_path, monkeypatch, slowdown, line, said):
    monkeypatch.setattr(precision, "slowdown", lambda: slowdown)
    file = tmp_path / "recipe.yaml"
    file.write_text(f"model_name_or_path: x\nuse_peft: true\nuse_cpu: true\nmax_steps: 7\n{line}")
    recipe = load_recipe(file, (), tmp_path / "out")
    assert (recipe.training.bf16, recipe.training.fp16) == (said.startswith("bf16"), False)
    where, changed = told(recipe).splitlines()
    assert where.startswith(f"training computes in {said}")
    assert where.endswith("; use_cpu: named")
    assert "max_steps 7 (-1)" in changed
