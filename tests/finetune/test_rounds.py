"""Rounds: the model's own proposals become histories; training goes on from the last adapter."""

import json
import shutil
from itertools import islice

import numpy as np
import pytest
import yaml

from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.config import UsageError
from cim_sim.evaluate import Evaluator
from finetune.commands.rounds import rounds
from finetune.dialogues import Turns, dialogues
from finetune.learn import Served
from finetune.rounds import RoundsRecipe, load_rounds, one_round
from finetune.traces import Trace, read_traces
from search.landscape import draw
from search.record.adapter import read_manifest
from search.study.family import tasks as family


def test_a_model_is_taught_in_the_style_that_it_is_asked_in(tmp_path):
    file = tmp_path / "rounds.yaml"
    file.write_text("{asked: configs/search/author-local.yaml, dataset: {style: codesign}}")
    with pytest.raises(UsageError, match=r"asked in style dialogue .* taught in style codesign"):
        load_rounds(file)
    assert load_rounds("configs/finetune/rounds.yaml").dataset.turns.similar == 4


def test_a_dry_run_says_what_a_round_is_and_writes_nothing(adapter, tmp_path, capsys):
    assert rounds(adapter=adapter, out=tmp_path / "rounds", dry_run=True) == 0
    said = capsys.readouterr().out
    assert "searches a round   100 of 10 episodes, screen 8" in said
    assert not (tmp_path / "rounds").exists()


def test_a_judge_is_not_asked_to_propose(tmp_path):
    shutil.copy("finetune/released/adapter_manifest.json", tmp_path)
    with pytest.raises(UsageError, match="was trained as a judge and proposes nothing of use"):
        one_round(RoundsRecipe(), 0, tmp_path, tmp_path / "round", served=None)


def test_half_of_the_histories_are_what_the_model_proposed(tasks, traces):
    task = tasks[0]
    population = draw(task.space, 12, np.random.default_rng(5))
    designs = [task.space.decode(row.tolist()) for row in population]
    judge = Evaluator(task.scenario, task.space, surrogate.load().answer)
    own = [Trace(task.space.name, "run", "r", one) for one in judge.evaluate(designs)]
    rows = [*traces[task.space.name, task.scenario.digest], *own]
    drawn = islice(dialogues(task, rows, Turns(), np.random.default_rng(3)), 60)
    shares = [
        np.mean([line.design in designs for line in dialogue.poor])
        for dialogue in drawn
        if dialogue.poor
    ]
    assert 0.3 < np.mean(shares) < 0.7


@pytest.mark.slow
@pytest.mark.vllm
def test_a_round_searches_judges_and_goes_on(checked, recipe_file, served_base, tmp_path):
    before, *_ = checked
    served = Served(served_base.model_copy(update={"name": "local"}), served_base)
    model = served.tuned.model_dump(mode="json")
    asked = {"optimizer": "llm", "settings": {"model": model, "constrained": True}}
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump(asked))
    recipe = RoundsRecipe(
        tasks=4,
        episodes=2,
        screen=2,
        asked=tmp_path / "asked.yaml",
        training=recipe_file,
        overrides=("max_steps=1",),
        workers=1,
    )
    out = tmp_path / "round-1"
    summary = one_round(recipe, 0, before, out, served)
    assert summary["roundtrip_passed"]
    assert 0 <= summary["better_than_the_teacher"] <= 1
    manifest = read_manifest(out / "adapter")
    assert manifest.went_on_from == str(before)
    taught = {one.scenario.digest for one in family("train", 4)}
    assert set(manifest.trained_on) - set(read_manifest(before).trained_on) <= taught
    sources = {row.source for rows in read_traces(out / "data")[1].values() for row in rows}
    assert sources == {"run", "surrogate"}
    proposed = json.loads((out / "search" / "runs" / "train-0000" / "model-screen2" / "seed0" /
                           "trials.jsonl").read_text().splitlines()[0])  # fmt: skip
    assert proposed["step"] == 0
