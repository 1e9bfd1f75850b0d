"""Conversations: the search's own words, a strictly better answer, split by scenario."""

import json

import pytest

from cim_sim.config import UsageError
from finetune import dataset as module
from finetune.dataset import DatasetRecipe, behind, build, read_manifest, read_split, require_tasks
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


def test_a_design_that_was_evaluated_twice_is_not_shown_before_it_is_the_answer(tasks, traces):
    doubled = {}
    for place, rows in traces.items():
        worse = [
            row._replace(evaluation=row.evaluation.model_copy(update={"reward": row.reward - 0.1}))
            for row in rows
            if row.evaluation.reward is not None
        ]
        doubled[place] = [*worse, *rows]
    for split in build(tasks, doubled, DatasetRecipe(examples=20)).values():
        for example in split:
            assert example.completion[0]["content"] not in example.prompt[1]["content"]


def test_what_cannot_be_built_was_not_trained(tasks, traces):
    key = next(iter(traces))
    rows = [row._replace(source="run", evidence="trained 0123") for row in traces[key]]
    known = [row for row in rows if row.evaluation.accuracy]
    assert 0 < len(known) < len(rows)
    bench = [row._replace(evidence="of the bench") for row in known]
    counts = [behind({key: some}).trainings for some in (rows, known, bench)]
    assert counts[0] == counts[1] == counts[2] + len(known)


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


def resealed(data, tmp_path, name, text):
    """Copy a dataset with another file, whose manifest says that all is well."""
    for file in data.glob("*.json*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).write_text(text, encoding="utf-8")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["digest"] = module._digest(tmp_path)
    manifest["counts"]["train"] = max(1, len(text.split("\n")) - 1)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ('{"prompt": [{"role": "user", "content": "x"}]}', "completion: Field required"),
        ('{"prompt": "x", "completion": []}', "prompt: Input should be a valid array"),
        ('{"prompt": [{"role": "user"}], "completion": []}', "every turn is a role and a content"),
    ],
)
def test_a_damaged_conversation_is_named(data, tmp_path, line, fault):
    folder = resealed(data, tmp_path, "train.jsonl", line + "\n")
    with pytest.raises(UsageError, match=rf"train\.jsonl:1: not a conversation: .*{fault}.*python"):
        read_split(folder, "train")


def test_an_empty_split_is_named(data, tmp_path):
    folder = resealed(data, tmp_path, "train.jsonl", "")
    with pytest.raises(
        UsageError, match=r"train\.jsonl: holds 0 conversations of 1: make the dataset"
    ):
        read_split(folder, "train")


def test_a_line_may_hold_any_character(data, tmp_path):
    turns = [{"role": "user", "content": "a\u2028b\x85c"}]
    line = json.dumps({"prompt": turns, "completion": turns}, ensure_ascii=False) + "\n"
    assert read_split(resealed(data, tmp_path, "train.jsonl", line), "train")[0]["prompt"] == turns


def test_a_dataset_without_its_tasks_teaches_nothing(data, tmp_path):
    assert require_tasks(data) == read_manifest(data)
    folder = resealed(data, tmp_path, "scenarios.jsonl", "")
    with pytest.raises(UsageError, match=r"scenarios\.jsonl: \d+ of the \d+ scenarios that"):
        require_tasks(folder)
