"""Searches of the user's own become traces and dialogues."""

import json
import sys
from pathlib import Path

import pytest

from cim_sim.config import UsageError, load, parse
from finetune import learn
from finetune.commands.dataset import dataset as dataset_verb
from finetune.commands.pipeline import pipeline
from finetune.commands.traces import traces as traces_verb
from finetune.commands.train import train
from finetune.dataset import MANIFEST, DatasetManifest, behind
from finetune.preferences import pairs, questions
from finetune.traces import read_traces
from search.evaluators import build
from search.execute import execute
from search.llm.lineage import lineage_of
from search.llm.model import ModelConfig
from search.llm.prompt import render
from search.llm.reply import parse_reply
from search.record.adapter import TRAINED_ON, read_manifest
from search.record.given import Given
from search.record.manifest import RunConfig
from search.record.runs import read_run
from search.record.tasks import OwnTask, read_tasks

JUDGE = """
def evaluate(design, facts, seed):
    if design["tile"] > facts["most"]:
        return {"infeasible": "too large"}
    return {"reward": -10.0 * abs(design["tile"] - facts["best"]), "measured": {"cycles": 5}}
"""
DIALOGUES = """
dataset:
  style: dialogue
  examples: 6
  held_out: 0.34
  turns: {similar: 8, value: true, hidden: 0.3, misled: 2}
"""


def searched(out, best, seed):
    data = {
        "optimizer": "random",
        "episodes": 15,
        "seed": seed,
        "evaluator": {"python": "own_traces_judge:evaluate"},
        "space": {
            "name": "arrays",
            "choices": {"tile": {"low": 1, "high": 16}, "flow": ["a", "b"]},
        },
        "scenario": {
            "name": f"layer {best}",
            "choose": "an array",
            "facts": {"best": best, "most": 13},
            "objective": "nearness",
        },
    }
    config = parse(data, RunConfig, "own")
    execute(config, build(config.scenario, config.space, config), out)
    return read_run(out)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Traces and dialogues of six searches of three scenarios."""
    (tmp_path / "own_traces_judge.py").write_text(JUDGE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_traces_judge", raising=False)
    runs = [searched(tmp_path / f"{b}-{seed}", b, seed) for b in (3, 7, 11) for seed in (0, 1)]
    (tmp_path / "dialogues.yaml").write_text(DIALOGUES)
    places = tuple(run.path for run in runs)
    assert traces_verb(tmp_path / "data", runs=places, only_runs=True) == 0
    assert dataset_verb(tmp_path / "data", tmp_path / "dialogues.yaml") == 0
    return tmp_path / "data"


def test_traces_keep_what_was_measured_and_count_what_was_evaluated(data):
    tasks, traces = read_traces(data)
    assert [task.name for task in tasks] == ["layer 3", "layer 7", "layer 11"]
    assert all(isinstance(task, OwnTask) for task in tasks)
    assert read_tasks(data / "scenarios.jsonl") == tasks
    rows = [row for found in traces.values() for row in found]
    assert behind(traces) == Given(trace_evaluations=len(rows))
    assert {row.evidence.rpartition(" ")[0] for row in rows} == {"python own_traces_judge:evaluate"}
    assert all(
        row.evaluation.measured == {"cycles": 5}
        for row in rows
        if row.evaluation.infeasible is None
    )
    assert any(row.reward == -float("inf") for row in rows)


def test_dialogues_are_what_a_search_would_send(data):
    """No similar tasks and no accuracy, whatever the recipe says of them: there are none."""
    tasks = {task.scenario.digest: task for task in read_tasks(data / "scenarios.jsonl")}
    lines = [
        json.loads(line)
        for split in ("train", "validation")
        for line in (data / f"{split}.jsonl").read_text().splitlines()
    ]
    assert load(data / MANIFEST, DatasetManifest).given == behind(read_traces(data)[1])
    whole = 0
    for line in lines:
        task = tasks[line["scenario"]]
        text = "\n".join(turn["content"] for turn in line["prompt"])
        assert "Similar" not in text
        assert "ccuracy" not in text
        whole += line["prompt"][:2] == render(task.scenario, task.space, [], "dialogue")[:2]
        taught = [one["content"] for one in line["completion"] if one["role"] == "assistant"]
        designs = [parse_reply(answer, task.space) for answer in taught]
        assert len(set(designs)) == len(designs)
        assert all(json.loads(answer).keys() == {"tile", "flow"} for answer in taught)
    assert 0 < whole < len(lines)
    card = (data / "README.md").read_text()
    assert "2 train, 1 validation" in card


def test_a_pipeline_learns_from_them_alone(data, tmp_path, monkeypatch):
    """The data file of `make finetune TRACES=...`; training itself has tests of its own."""
    learnt = []

    def noted(config, overrides, data, *rest, **more):
        learnt.append(data)
        return {"roundtrip_passed": True, "seconds": {}}

    monkeypatch.setattr(learn, "learn", noted)
    out, places = tmp_path / "out", tuple(tmp_path / f"{best}-0" for best in (3, 7))
    author = Path("configs/finetune/smollm2.yaml")
    own = {"config": author, "data_config": Path("configs/finetune/dialogues-own.yaml"), "out": out}
    with pytest.raises(UsageError, match="no run in or below it"):
        pipeline(**own, runs=(tmp_path / "typo",))
    assert not out.exists(), "so the mended command finds it empty"
    assert pipeline(**own, runs=places) == 0
    assert learnt == [out / "data"]
    assert [task.name for task in read_traces(out / "data")[0]] == ["layer 3", "layer 7"]
    manifest = load(out / "data" / MANIFEST, DatasetManifest)
    assert manifest.counts["train"] > 10
    assert manifest.sources.keys() == {"run"}
    with pytest.raises(UsageError, match="out was begun with another data: give what it was"):
        pipeline(**own, runs=places[:1], resume=True)
    with pytest.raises(UsageError, match="out was begun with another recipe: give what it was"):
        pipeline(**own, runs=places, resume=True, overrides=("seed=3",))
    assert pipeline(**own, runs=places, resume=True) == 0
    assert len(learnt) == 2


def test_a_judge_is_not_taught_them(data, tmp_path):
    """The default of `make finetune`; refused before anything is made."""
    out, judge = tmp_path / "out", Path("configs/finetune/judgements-own.yaml")
    with pytest.raises(UsageError, match=r"layer 3: your own, and a judge knows chips .*smollm2\."):
        pipeline(data_config=judge, runs=(tmp_path / "3-0",), out=out)
    assert not out.exists()
    with pytest.raises(UsageError, match="layer 3, layer 7, layer 11: your own, and a judge"):
        dataset_verb(data, judge)


def test_two_spaces_of_one_name_are_not_mixed(data, tmp_path):
    """A design of the one may lie outside the other, which its prompt would offer."""
    lines = [json.loads(line) for line in (data / "scenarios.jsonl").read_text().splitlines()]
    lines[0]["space"]["choices"]["flow"] = ["a", "b", "c"]
    with (data / "scenarios.jsonl").open("a") as file:
        file.write(json.dumps(lines[0]) + "\n")
    with pytest.raises(
        UsageError, match=r"two spaces of scenario layer 3 are called arrays: .*flow.*; take the"
    ):
        read_traces(data)


def test_one_scenario_leaves_nothing_to_validate_on(data, tmp_path):
    traces_verb(tmp_path / "one", runs=(tmp_path / "3-0", tmp_path / "3-1"), only_runs=True)
    with pytest.raises(UsageError, match=r"one scenario alone teaches, and .* search another"):
        dataset_verb(tmp_path / "one", tmp_path / "dialogues.yaml")


@pytest.mark.slow
def test_an_adapter_is_trained_on_it_and_carries_its_tasks(
    data, recipe_file, small_model, tmp_path
):
    out = tmp_path / "adapter"
    assert train(config=recipe_file, data=data, out=out, overrides=("max_steps=1",)) == 0
    carried, known = read_tasks(out / TRAINED_ON), read_manifest(out).trained_on
    assert {task.scenario.digest for task in carried} == set(known)
    assert all(isinstance(task, OwnTask) for task in carried)
    model = ModelConfig(name="tuned", path=small_model, adapter=out)
    lineage = lineage_of(model, carried[0])
    assert lineage.adapter.manifest.given == behind(read_traces(data)[1])
    assert lineage.nearest is None  # no distance is known between own problems


def test_pairs_reject_what_is_infeasible_and_rewards_are_refused(data):
    found = pairs(data, "train")
    assert {json.loads(one[0]["content"])["tile"] > 13 for one in found["rejected"]} == {
        True,
        False,
    }
    with pytest.raises(UsageError, match=r"layer \d+ is your own, .*; use method sft or dpo"):
        questions(data, "train")
