"""The bench of a training step, on a small model."""

import json

import pytest

from finetune.commands.bench import bench


@pytest.mark.slow
def test_a_step_is_timed_beside_a_bare_one(recipe_file, monkeypatch, capsys):
    monkeypatch.setattr("finetune.bench.SCENARIOS", 4)
    assert bench(config=recipe_file, steps=2) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["steps"] == 2
    assert figures["answers_per_s"] > 0
    assert figures["tokens_an_answer"] < 1000
    assert figures["ratio"] > 0
