"""The program: what can be refused is refused before any work, by one line that says what to do."""

import builtins
import sys

import pytest

from finetune.__main__ import main


@pytest.fixture
def run(monkeypatch, capsys):
    def program(*words):
        monkeypatch.setattr(sys, "argv", ["finetune", *map(str, words)])
        code = main()
        return code, capsys.readouterr().err

    return program


def test_a_faulty_recipe_is_refused_before_data_are_made(run, tmp_path):
    code, said = run("pipeline", "--out", tmp_path / "out", "--set", "lora_rank=4", "max_steps=x")
    assert code == 2
    assert "lora_rank is not known; TRL calls it lora_r" in said
    assert "max_steps: Input should be a valid integer" in said
    assert not (tmp_path / "out").exists()


def test_a_used_directory_is_refused_before_data_are_made(run, tmp_path):
    (tmp_path / "note").write_text("mine")
    code, said = run("pipeline", "--out", tmp_path)
    assert code == 2
    assert "is not empty: --resume goes on, --overwrite starts afresh" in said
    assert [file.name for file in tmp_path.iterdir()] == ["note"]


def test_another_base_than_the_one_that_is_trained_is_refused_before_data_are_made(
    run, small_model, tmp_path
):
    out, trained = tmp_path / "out", f"model_name_or_path={small_model}"
    code, said = run("pipeline", "--out", out, "--set", trained)
    assert code == 2
    assert f"would be served as its base: give --base FILE.yaml with path: {small_model}" in said
    assert not out.exists()


def test_data_that_the_recipe_does_not_teach_are_refused_before_they_are_made(run, tmp_path):
    out, data = tmp_path / "out", "configs/finetune/dialogues.yaml"
    code, said = run("pipeline", "--out", out, "--data-config", data)
    assert code == 2
    assert said.startswith(f"configs/finetune/smollm2-judge.yaml: {data} gives dialogues, whose ")
    assert "take a recipe for them (configs/finetune/smollm2.yaml)" in said
    assert not out.exists()


def test_a_recipe_of_several_lessons_at_once_is_no_judge_s(run, tmp_path):
    recipe, out = "configs/finetune/smollm2.yaml", tmp_path / "out"
    code, said = run("pipeline", "--out", out, "--config", recipe, "--dry-run")
    assert code == 2
    assert said.startswith(f"{recipe}: configs/finetune/judgements.yaml gives judgements, and one")
    assert "take a recipe for them (configs/finetune/smollm2-judge.yaml)" in said


def test_preferences_without_dialogues_are_refused_before_data_are_made(run, tmp_path):
    out, data = tmp_path / "out", tmp_path / "questions.yaml"
    data.write_text("surrogate_tasks: 2\n")
    recipe = "configs/finetune/smollm2-dpo.yaml"
    code, said = run("pipeline", "--out", out, "--config", recipe, "--data-config", data)
    assert code == 2
    assert said.startswith(f"{recipe}: {data} gives single questions, from which method dpo cannot")
    assert not out.exists()


def test_a_missing_extra_is_named_with_the_command_that_installs_it(run, tmp_path, monkeypatch):
    real = builtins.__import__

    def without_trl(name, *rest):
        if name == "trl":
            raise ModuleNotFoundError("No module named 'trl'", name="trl")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_trl)
    code, said = run("pipeline", "--out", tmp_path / "out")
    assert code == 2
    assert said.startswith("trl is not installed; type: pip install '.[finetune]', in the checkout")
