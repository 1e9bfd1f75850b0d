"""Conversations: the search's own words, a strictly better answer, split by scenario."""

import json

import pytest

from cim_sim.config import UsageError
from finetune.dataset import DatasetRecipe, build, read_manifest, read_split
from search.llm.examples import renderer_digest
from search.llm.prompt import render
from search.llm.reply import parse_reply


@pytest.fixture(scope="module")
def splits(tasks, traces):
    return build(tasks, traces, DatasetRecipe(examples=20))


def scores_in(text):
    lines = text.split("Results so far, worst to best:\n")[1].splitlines()[:-1]
    return [
        float(line.split("}} ")[-1].split("] ")[-1]) for line in lines if "infeasible" not in line
    ]


def test_the_answer_is_better_than_all_that_is_shown(splits, tasks, traces):
    known = {task.scenario.digest: task for task in tasks}
    for example in splits["train"] + splits["validation"]:
        task = known[example.scenario]
        design = parse_reply(example.completion[0]["content"], task.space)
        rows = traces[example.space, example.scenario]
        (row,) = [row for row in rows if row.evaluation.design == design]
        shown = [] if example.history == 0 else scores_in(example.prompt[1]["content"])
        assert all(score < row.evaluation.reward + 5e-4 for score in shown)
        assert (example.source, example.evidence) == (row.source, row.evidence)


def test_prompts_are_the_search_s(splits, tasks):
    known = {task.scenario.digest: task for task in tasks}
    empty = [example for example in splits["train"] if example.history == 0]
    assert empty
    for example in empty:
        task = known[example.scenario]
        assert example.prompt == render(task.scenario, task.space, [])


def test_histories_are_empty_mixed_and_hopeless(splits):
    kinds = {(example.history == 0, example.infeasible) for example in splits["train"]}
    assert kinds == {(True, False), (False, False), (False, True)}


def test_scenarios_lie_in_one_split_and_conversations_stand_once(splits):
    train, held = ({e.scenario for e in splits[name]} for name in ("train", "validation"))
    assert train
    assert held
    assert not train & held
    whole = [json.dumps(e.prompt + e.completion) for split in splits.values() for e in split]
    assert len(whole) == len(set(whole))


def test_the_manifest_names_scenarios_renderer_and_content(data):
    manifest = read_manifest(data)
    assert manifest.renderer == renderer_digest()
    assert manifest.sources.keys() <= {"bench", "surrogate"}
    assert sum(manifest.sources.values()) == sum(manifest.counts.values())
    assert manifest.counts["train"] == len(read_split(data, "train"))
    card = (data / "README.md").read_text()
    assert manifest.digest in card
    assert "split by scenario, never by row" in card
    lines = (data / "messages" / "train.jsonl").read_text().splitlines()
    messages = [json.loads(line) for line in lines]
    assert [m["role"] for m in messages[0]["messages"]] == ["system", "user", "assistant"]


def test_changed_conversations_are_refused(data, tmp_path):
    for file in data.glob("*.json*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "train.jsonl").open("a") as stream:
        stream.write("{}\n")
    with pytest.raises(UsageError, match=r"conversations differ from manifest.json"):
        read_manifest(tmp_path)


def test_traces_without_a_feasible_design_are_no_dataset(tasks):
    with pytest.raises(UsageError, match="no training scenario has a feasible design"):
        build(tasks, {}, DatasetRecipe())
