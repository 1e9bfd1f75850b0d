"""Preferences and rewards: poor answers lose, better designs climb, and both train an adapter."""

import json

import pytest

from cim_sim.config import UsageError
from finetune.commands.train import train
from finetune.preferences import FEASIBLE, IN_SPACE, NEW, PARSES, ladder, pairs, questions
from finetune.traces import read_traces, write_traces
from search.llm.prompt import answer
from search.record.adapter import read_manifest
from search.record.tasks import Task


@pytest.fixture(scope="module")
def paired(dialogues, tasks, traces):
    """The dialogues of the other tests, beside the traces that they come from."""
    write_traces(dialogues, tasks, [row for rows in traces.values() for row in rows])
    return dialogues


def test_the_chosen_design_is_better_than_the_rejected_one_and_that_is_new(paired):
    traces = read_traces(paired)[1]
    asked = {json.dumps(row["prompt"]): row["task"] for row in questions(paired, "train")}
    rows = pairs(paired, "train")
    assert len(rows) >= 4
    for row in rows:
        task = Task.model_validate_json(asked[json.dumps(row["prompt"])])
        scores = {
            answer(one.evaluation.design): one.evaluation.score
            for one in traces[task.space.name, task.scenario.digest]
        }
        (chosen,), (rejected,) = row["chosen"], row["rejected"]
        assert chosen["role"] == rejected["role"] == "assistant"
        assert scores[chosen["content"]] > scores[rejected["content"]]
        assert rejected["content"] not in [turn["content"] for turn in row["prompt"]]


def test_the_ladder_has_a_rung_for_each_thing_that_can_be_wrong(paired):
    tasks, traces = read_traces(paired)
    row = next(row for row in questions(paired, "train") if row["start"] > -1)
    task = next(one for one in tasks if one.model_dump_json() == row["task"])
    every = traces[task.space.name, task.scenario.digest]
    rows = [one for one in every if one.source == "surrogate"]
    best = max(rows, key=lambda one: one.evaluation.score).evaluation
    barred = next(one.evaluation for one in rows if one.evaluation.reward is None)
    shown = next(
        text for text in json.loads(row["shown"])
        if any(answer(one.evaluation.design) == text and one.evaluation.reward for one in rows)
    )  # fmt: skip
    outside = answer(best.design).replace("[[", "[[9", 1)
    texts = ["I would not know", outside, answer(barred.design), shown, answer(best.design)]
    asked = {name: [row[name]] * len(texts) for name in ("task", "shown", "start", "best")}
    completions = [[{"role": "assistant", "content": text}] for text in texts]
    rewards = ladder(completions, **asked)
    assert rewards[:4] == [0, PARSES, IN_SPACE, FEASIBLE]
    assert NEW < rewards[4] <= 1


def test_single_questions_have_no_preferences(tmp_path, tasks, traces):
    from finetune.dataset import DatasetRecipe, build, write

    recipe = DatasetRecipe(examples=1)
    write(tmp_path, build(tasks, traces, recipe), recipe)
    with pytest.raises(UsageError, match="preferences are drawn from dialogues"):
        pairs(tmp_path, "train")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # TRL imports vLLM for GRPO, and that warns of much
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("dpo", ("loss_type=[sigmoid,sft]", "max_length=4096")),
        ("grpo", ("num_generations=2", "max_completion_length=4", "per_device_eval_batch_size=2")),
    ],
)
def test_a_step_goes_on_from_an_adapter(  # noqa: PLR0917
    method, settings, paired, adapter, small_model, tmp_path, capsys
):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"{{method: {method}, model_name_or_path: {small_model}, dtype: float32, use_peft: true, "
        f"lora_r: 4, adapter_name_or_path: {adapter}, max_steps: 1, learning_rate: 1.0e-3, "
        "per_device_train_batch_size: 2, gradient_checkpointing: false, bf16: false, "
        "save_strategy: 'no', disable_tqdm: true, dataloader_pin_memory: false}"
    )
    out = tmp_path / "out"
    asked = {"config": recipe, "data": paired, "out": out, "overrides": settings}
    assert train(**asked, dry_run=True) == 0
    assert "prompt: [{" in capsys.readouterr().out
    assert train(**asked) == 0
    manifest = read_manifest(out)
    assert manifest.went_on_from == str(adapter)
    assert manifest.recipe["method"] == method
    assert (out / "adapter_model.safetensors").is_file()
    assert not (out / "ref").exists()
    said = "loss of preferences" if method == "dpo" else "(reward)"
    assert said in (out / "README.md").read_text()
