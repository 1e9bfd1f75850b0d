"""How far a model reads results: what its answer costs it when they are swapped."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cim_sim.config import UsageError, load
from finetune.commands.reads import reads
from finetune.reading import Losses, Reading, exchanged, questions, table


def dialogue(results):
    turns = [{"role": "user", "content": "Choose."}]
    for number, result in enumerate(results):
        turns.append({"role": "assistant", "content": f"design {number}"})
        turns.append({"role": "user", "content": result})
    return turns


@given(st.lists(st.text(max_size=3), max_size=8, unique=True), st.integers(0, 99))
def test_each_result_goes_to_another_design_and_nothing_else_changes(results, seed):
    turns = dialogue(results)
    other = exchanged(turns, np.random.default_rng(seed))
    assert other[:2] == turns[:2]
    assert other[1::2] == turns[1::2]
    before, after = ([turn["content"] for turn in one[2::2]] for one in (turns, other))
    assert sorted(after) == sorted(before)
    moved = [old != new for old, new in zip(before, after, strict=True)]
    assert all(moved) if len(results) > 1 else not any(moved)


def test_held_out_dialogues_are_asked_about_their_last_design(partly_hidden):
    asked = questions(partly_hidden)
    lines = (partly_hidden / "validation.jsonl").read_text().splitlines()
    last = {json.loads(line)["completion"][-1]["content"] for line in lines}
    assert {one.hidden for one in asked} == {True, False}
    for one in asked:
        assert any(said.startswith(f"{one.design} accuracy 0.") for said in last)
        assert one.told[-1]["role"] == one.swapped[-1]["role"] == "user"
        assert one.told != one.swapped
        assert one.hidden == (": unknown." in one.told[0]["content"])
    assert questions(partly_hidden) == asked


def test_models_are_compared_in_pairs_with_the_first():
    reading = Reading(
        data="0" * 16,
        scenarios=("one", "one", "other"),
        hidden=(False, True, False),
        models={
            "plain": Losses(told=(6.0, 7.0, 8.0), swapped=(6.0, 7.0, 8.0)),
            "reader": Losses(told=(5.0, 5.0, 5.0), swapped=(5.5, 6.0, 5.5)),
        },
    )
    assert table(reading).splitlines() == [
        "| model | facts | dialogues | nats | more when swapped | nats saved | rises more by |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| plain | told | 2 | 7.00 [6.00, 8.00] | 0.00 [0.00, 0.00] |  |  |",
        "| plain | hidden | 1 | 7.00 | 0.00 |  |  |",
        "| reader | told | 2 | 5.00 [5.00, 5.00] | 0.50 [0.50, 0.50] | 2.00 [1.00, 3.00] "
        "| 0.50 [0.50, 0.50] |",
        "| reader | hidden | 1 | 5.00 | 1.00 | 2.00 | 1.00 |",
    ]
    with pytest.raises(ValidationError, match="every model answers every question"):
        Reading(**{**dict(reading), "scenarios": ("one",)})


def test_a_base_and_an_adapter_are_asked_and_their_losses_kept(
    partly_hidden, small_model, adapter, tmp_path, capsys
):
    out = tmp_path / "new" / "reads.json"
    asked = {"models": (Path(small_model), adapter), "data": partly_hidden, "out": out}
    assert reads(**asked, dry_run=True) == 0
    assert not out.parent.exists()
    assert reads(**asked) == 0
    reading = load(out, Reading)
    assert [*reading.models] == [Path(small_model).name, adapter.name]
    assert len(reading.scenarios) == len(questions(partly_hidden))
    one, other = reading.models.values()
    assert one.told != other.told
    assert one.told != one.swapped
    assert table(reading) in capsys.readouterr().out


def test_what_cannot_be_asked_is_refused(judged, data, partly_hidden, small_model, tmp_path):
    out = tmp_path / "reads.json"
    with pytest.raises(UsageError, match="give adapters or bases: python -m finetune reads"):
        reads((), data=partly_hidden, out=out)
    with pytest.raises(UsageError, match="have the same name, and rows are named so"):
        reads((Path(small_model),) * 2, data=partly_hidden, out=out)
    with pytest.raises(UsageError, match="expected dialogues, found style dialogue with judged: 8"):
        reads((Path(small_model),), data=judged, out=out)
    with pytest.raises(UsageError, match="expected dialogues, found style codesign"):
        reads((Path(small_model),), data=data, out=out)
    with pytest.raises(UsageError, match="empty: holds neither an adapter nor a model"):
        reads((tmp_path / "empty",), data=partly_hidden, out=out)
    assert not out.exists()


@pytest.mark.parametrize("name", ["reads", "round"])
def test_the_committed_tables_are_those_of_the_committed_losses(name):
    folder = Path("datasets/ablations/authors")
    found = table(load(folder / f"{name}.json", Reading))
    assert f"<!-- {name} -->\n{found}\n" in (folder / "README.md").read_text()
