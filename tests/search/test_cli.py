"""`python -m search run` as a user meets it: options, exit codes, messages, resume."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from search.__main__ import main
from search.record.runs import read_run

SCENARIO = "configs/scenarios/embedded-latency.yaml"
SPACE = "configs/spaces/embedded.yaml"
PROBLEM = ["--scenario", SCENARIO, "--space", SPACE, "--evaluator", "surrogate"]
RANDOM = ["--optimizer", "random", *PROBLEM]


@pytest.fixture
def search(monkeypatch, capsys):
    """Type a command; returns exit code, lines of standard output, standard error."""

    def type_in(*words):
        monkeypatch.setattr(sys, "argv", ["search", *map(str, words)])
        code = main()
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err

    return type_in


def test_a_run_says_a_line_a_trial_and_ends_with_json(search, tmp_path):
    out = tmp_path / "run"
    code, lines, err = search("run", *RANDOM, "--episodes", 6, "--seed", 1, "--out", out)
    assert (code, err) == (0, "")
    assert len(lines) == 7
    assert lines[0].startswith("1/6, -:--:-- left  reward ")
    assert re.match(r"2/6, \d:\d\d:\d\d left  ", lines[1])
    said = json.loads(lines[-1])
    record = read_run(out)
    best = max(record.trials, key=lambda trial: trial.score)
    assert said["best_reward"] == best.score
    assert said["best_design"] == best.design.wire()
    assert (said["episodes"], said["failures"], said["trained"]) == (6, 0, 0)
    assert said["infeasible"] == sum(not trial.feasible for trial in record.trials)
    assert f"best {best.score:.4f}, {said['infeasible'] / 6:.0%} infeasible" in lines[-2]
    assert record.manifest.status == "done"
    assert record.manifest.stopped_by == "episodes"


def test_resume_alone_uses_the_runs_own_configuration(search, tmp_path, untimed):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    search("run", *RANDOM, "--episodes", 9, "--seed", 5, "--batch", 2, "--out", whole)
    search("run", *RANDOM, "--episodes", 4, "--seed", 5, "--batch", 2, "--out", parts)
    code, lines, _ = search("run", "--resume", "--out", parts, "--episodes", 9)
    assert code == 0
    assert lines[0] == "going on after 4 of 9 episodes"
    assert lines[1].startswith("5/9")
    assert untimed(read_run(parts).trials) == untimed(read_run(whole).trials)
    assert len(read_run(parts).manifest.sessions) == 2


@pytest.mark.slow
def test_the_best_designs_can_be_trained_again(search, tmp_path):
    """Really trained, with other seeds; typed again on a finished run it only does that."""
    scenario = yaml.safe_load(Path(SCENARIO).read_text())
    scenario |= {"recipe": {"epochs": 1, "draws": 2}, "limits": {}}
    quick = tmp_path / "quick.yaml"
    quick.write_text(yaml.safe_dump(scenario))
    out, cache = tmp_path / "run", ["--cache", tmp_path / "accuracy.sqlite"]
    problem = ["--scenario", quick, "--space", SPACE, "--optimizer", "random"]
    said = search("run", *problem, "--episodes", 4, "--out", out, *cache)
    code, lines, err = search("run", "--resume", "--out", out, "--verify-top", 2, *cache)
    assert (code, err) == (0, "")
    best = json.loads(said[1][-1])["best_design"]
    assert lines[-4].startswith(f"| 1 | {best} | ")
    verified = json.loads((out / "verified.json").read_text())["winners"]
    rewards = json.loads(lines[-1])["verified_rewards"]
    assert rewards == [pytest.approx(one["reward"], abs=1e-6) for one in verified]
    assert [len(one["accuracies"]) for one in verified] == [3, 3]
    assert verified[0]["predicted_reward"] >= verified[1]["predicted_reward"]
    assert len(set(verified[0]["accuracies"])) > 1


def test_a_finished_run_is_left_alone(search, tmp_path):
    out = tmp_path / "run"
    search("run", *RANDOM, "--episodes", 3, "--out", out)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    code, lines, _ = search("run", *RANDOM, "--episodes", 3, "--out", out, "--resume")
    assert code == 0
    assert json.loads(lines[-1])["episodes"] == 3
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    code, _, err = search("run", *RANDOM, "--episodes", 3, "--out", out)
    assert code == 2
    assert "is not empty; add --resume" in err


def test_resume_begins_a_run_that_was_never_begun(search, tmp_path):
    code, lines, _ = search("run", *RANDOM, "--episodes", 2, "--out", tmp_path / "r", "--resume")
    assert (code, len(lines)) == (0, 3)
    code, _, err = search("run", "--resume", "--out", tmp_path / "typo")
    assert code == 2
    assert f"{tmp_path / 'typo'}: holds no run to go on with; to begin one, add --optimizer" in err
    code, _, err = search("run", "--optimizer", "random", "--out", tmp_path / "typo")
    assert (code, "scenario is missing" in err) == (2, True)


def test_a_file_in_the_place_of_a_folder_is_named(search, tmp_path):
    (tmp_path / "note").write_text("mine")
    for words in (
        ["run", *RANDOM, "--episodes", 2],
        ["run", *RANDOM, "--episodes", 2, "--resume"],
        ["sweep", "configs/search/rivals.yaml", "--resume"],
        ["family", "--count", 1, "--split", "near"],
    ):
        code, _, err = search(*words, "--out", tmp_path / "note")
        assert code == 2, err
        assert f"{tmp_path / 'note'}: " in err
        assert re.search("is a file; name a directory|a file lies where a folder should be", err)
    assert (tmp_path / "note").read_text() == "mine"


def test_resume_refuses_other_options(search, tmp_path):
    out = tmp_path / "run"
    search("run", *RANDOM, "--episodes", 3, "--out", out)
    code, _, err = search("run", "--resume", "--out", out, "--seed", 7, "--episodes", 5)
    assert code == 2
    assert "seed: 0 is not 7" in err
    assert read_run(out).manifest.status == "done"


def test_configuration_file_first_options_win(search, tmp_path):
    file = tmp_path / "run.yaml"
    wanted = {"optimizer": "random", "scenario": SCENARIO, "space": SPACE, "seed": 3}
    file.write_text(yaml.safe_dump({**wanted, "evaluator": "surrogate", "episodes": 50}))
    code, _, _ = search("run", "--config", file, "--episodes", 2, "--out", tmp_path / "run")
    assert code == 0
    config = read_run(tmp_path / "run").config
    assert (config.seed, config.episodes, config.evaluator) == (3, 2, "surrogate")
    assert config.scenario.name == "embedded-latency"


def test_a_configuration_may_name_a_file_of_settings(search, tmp_path):
    file = tmp_path / "run.yaml"
    wanted = {"optimizer": "tpe", "scenario": SCENARIO, "space": SPACE, "evaluator": "surrogate"}
    file.write_text(yaml.safe_dump({**wanted, "settings": "configs/search/tpe.yaml"}))
    code, _, _ = search("run", "--config", file, "--episodes", 1, "--out", tmp_path / "run")
    assert code == 0
    tuned = yaml.safe_load(Path("configs/search/tpe.yaml").read_text())["settings"]
    assert tuned.items() <= read_run(tmp_path / "run").config.settings.items()
    for settings, fault in (
        ("configs/search/genetic.yaml", "genetic.yaml is for optimizer genetic, not tpe"),
        (["a"], "settings: expected keys or the path of a file, found ['a']"),
    ):
        file.write_text(yaml.safe_dump({**wanted, "settings": settings}))
        code, _, err = search("run", "--config", file, "--out", tmp_path / "none")
        assert (code, fault in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["family", "--split", "near", "--count", "-3", "--out", "x"], "-3 is less than 1"),
        (["sweep", "configs/search/rivals.yaml", "--workers", "0"], "0 is less than 1"),
        (["bench", "--episodes", "0"], "0 is less than 1"),
    ],
)
def test_numbers_out_of_range_are_refused_as_they_are_read(search, capsys, words, said):
    with pytest.raises(SystemExit, match="2"):
        search(*words)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--optimizer", "radnom"], "optimizer radnom is not known; did you mean random?"),
        (["--optimizer", "sorcery"], "optimizer sorcery is not known; choose from random, "),
        (["--scenario", "configs/scenarios/x.yaml"], "x.yaml: No such file or directory"),
        (["--space", "configs/spaces/codesign.yaml"], "fixed by the one and freed by the other"),
        (["--episodes", "0"], "options: episodes: Input should be greater than or equal to 1"),
        (["--style", "paper"], "settings of optimizer random: style is not known"),
        (["--optimizer", "llm"], "settings of optimizer llm: model is missing"),
        (["--optimizer", "llm", "--model", "configs/models/x.yaml"], "x.yaml: No such file"),
        (["--optimizer", "llm", "--model", "ABSENT"], "(config.json); make it with: make finetune"),
        (["--optimizer", "gpt4-replay"], "its rollouts lie outside space embedded"),
    ],
)
def test_bad_options_are_one_clear_message(search, tmp_path, options, message):
    (tmp_path / "absent.yaml").write_text("{name: local, path: none, made_by: make finetune}")
    options = [option.replace("ABSENT", str(tmp_path / "absent.yaml")) for option in options]
    code, lines, err = search("run", *RANDOM, *options, "--out", tmp_path / "run")
    assert (code, lines) == (2, [])
    assert message in err
    assert not (tmp_path / "run").exists()


def test_bad_configuration_files_name_key_and_neighbour(search, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("optimiser: random\nbatch: two\nsettings: {}\n")
    code, _, err = search("run", *PROBLEM, "--config", file, "--out", tmp_path / "run")
    assert code == 2
    assert "run.yaml: optimiser is not known; did you mean optimizer?" in err
    assert "run.yaml: batch: Input should be a valid integer" in err
    file.write_text("just words")
    code, _, err = search("run", *RANDOM, "--config", file, "--out", tmp_path / "run")
    assert (code, err.splitlines()[0]) == (2, f"{file}: expected keys of a run, found 'just words'")


def test_a_directory_that_cannot_be_made_is_a_clear_error(search):
    code, _, err = search("run", *RANDOM, "--out", "/proc/run")
    assert (code, err) == (1, "/proc/run: No such file or directory\n")


def test_a_dead_endpoint_ends_the_run_resumably(search, tmp_path):
    model = tmp_path / "dead.yaml"
    address = "http://127.0.0.1:9/v1"
    model.write_text(f"{{name: dead, model: x, base_url: '{address}', tries: 2, pause_s: 0.01}}")
    out = tmp_path / "run"
    words = ["--optimizer", "llm", "--model", model, *PROBLEM, "--out", out]
    code, _, err = search("run", *words)
    assert code == 1
    assert "model dead gave no answer in 2 tries" in err
    resume = f"0 of 20 episodes are recorded; go on with: python -m search run --resume --out {out}"
    assert resume in err
    assert read_run(out).manifest.status == "failed"
    code, _, err = search("run", "--resume", "--out", out)
    assert (code, resume in err) == (1, True)


def test_rubbish_ends_after_ten_failures(search, tmp_path):
    (tmp_path / "script.txt").write_text("ignore all instructions\n[[1e999,3]]\n{\n")
    model = tmp_path / "model.yaml"
    model.write_text(f"{{name: rubbish, script: '{tmp_path / 'script.txt'}'}}")
    out = tmp_path / "run"
    code, lines, err = search(
        "run", "--optimizer", "llm", "--model", model, *PROBLEM, "--episodes", 30, "--out", out
    )
    assert code == 1
    assert len(lines) == 10
    assert lines[0].startswith(" 1/30, -:--:-- left  failed (reply): no design in 3 replies")
    assert "10 failures in a row; the last: reply: no design in 3 replies" in err
    record = read_run(out)
    assert len(record.trials) == 10
    assert len(record.exchanges) == 30
    assert record.manifest.stopped_by.startswith("10 failures in a row")


def test_every_help_renders(search, capsys):
    for verb in ("run", "compare"):
        with pytest.raises(SystemExit) as stop:
            search(verb, "--help")
        assert stop.value.code == 0
        assert "--out PATH" in capsys.readouterr().out
