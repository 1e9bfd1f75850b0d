"""`--dry-run`: says what a verb would do, refuses what it would refuse, and does none of it."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import cim_sim.__main__
import finetune.__main__
import search.__main__
from finetune.traces import write_traces
from search.evaluators import build
from search.execute import execute, resolved
from search.llm import server
from search.record.manifest import RunConfig
from search.study.family import tasks

ROOT = Path(__file__).parents[1]
SCENARIO = "configs/scenarios/embedded-latency.yaml"
SPACE = "configs/spaces/embedded.yaml"
PROBLEM = ["--scenario", SCENARIO, "--space", SPACE, "--evaluator", "surrogate"]
SEARCH = {
    "optimizer": "random",
    "scenario": SCENARIO,
    "space": SPACE,
    "evaluator": "surrogate",
    "episodes": 3,
}
MANIFEST = {
    "base": "org/m", "base_digest": "d", "data": "data", "data_digest": "d", "trained_on": [],
    "examples": 1, "renderer": "r", "template": "t", "end_token": "e", "seed": 0, "steps": 1,
    "dtype": "float32", "dtype_reason": "", "seconds": 1.0, "recipe": {}, "versions": {},
}  # fmt: skip
PROGRAMS = {
    "cim_sim": cim_sim.__main__.main,
    "search": search.__main__.main,
    "finetune": finetune.__main__.main,
}


@pytest.fixture
def dry(monkeypatch, capsys, tmp_path):
    """Type a command with --dry-run; returns what it said, and holds that it wrote nothing."""
    monkeypatch.setattr(server, "_start", lambda *_: pytest.fail("a server was started"))

    def type_in(program, *words, code=0):
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        argv = [f"somewhere/{program}/__main__.py", *map(str, words), "--dry-run"]
        monkeypatch.setattr(sys, "argv", argv)
        assert PROGRAMS[program]() == code
        said = capsys.readouterr()
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        if code:
            return said.err
        *_, heading, command, closing = said.out.splitlines()
        typed = " ".join(map(str, words))
        assert (heading, command) == ("to do it:", f"  python -m {program} {typed}")
        return {"text": said.out, **json.loads(closing)}

    return type_in


def model_file(folder, **fields):
    file = folder / "model.yaml"
    file.write_text(yaml.safe_dump({"name": "m", **fields}))
    return file


def searched(out, **changes):
    config = resolved(RunConfig(**{**SEARCH, **changes}))
    execute(config, build(config.scenario, config.space, config), out)
    return out


def test_a_run_shows_its_configuration_counts_and_files(dry, tmp_path):
    out = tmp_path / "run"
    said = dry("search", "run", "--optimizer", "tpe", *PROBLEM, "--verify-top", 2, "--out", out)
    assert said["dry_run"] is True
    assert "n_startup_trials: 10" in said["text"]
    assert "  name: embedded-latency\n" in said["text"]
    assert said["designs"] == "481,890,304 in the space embedded"
    assert (said["episodes"], said["recorded"], said["trainings_at_most"]) == (20, 0, 6)
    assert said["writes"].startswith(f"{out}: manifest.json, config.yaml, trials.jsonl")
    assert said["writes"].endswith("verified.json")


def test_a_run_is_refused_dry_as_it_would_be_wet(dry, tmp_path):
    (tmp_path / "note").write_text("mine")
    random = ["run", "--optimizer", "random", *PROBLEM, "--out", tmp_path]
    assert "is not empty; add --resume" in dry("search", *random, code=2)
    assert "holds no run to resume but note" in dry("search", *random, "--resume", code=2)


def test_a_run_with_a_model_shows_the_first_request_and_the_command_of_vllm(
    dry, tmp_path, monkeypatch
):
    monkeypatch.setattr(server, "fastest", lambda: server.Precision(dtype="float32", reason="so"))
    monkeypatch.setattr(server, "vllm_version", lambda: "vllm 0.32.0")
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "config.json").write_text("{}")
    ask = ["run", "--optimizer", "llm", *PROBLEM, "--style", "dialogue", "--out", tmp_path / "run"]
    settings = {"dtype": "float32"}
    local = model_file(tmp_path, path=str(weights), server=settings)
    text = dry("search", *ask, "--model", local)["text"]
    assert "--- user\nChoose a CNN for this compute-in-memory chip.\n" in text
    assert "Limits: area none, accuracy 0.45." in text
    assert f"-m vllm.entrypoints.openai.api_server --model {weights} --host 127.0.0.1" in text
    remote = model_file(tmp_path, model="org/m", base_url="http://127.0.0.1:9/v1")
    text = dry("search", *ask, "--model", remote)["text"]
    assert "answered by org/m at http://127.0.0.1:9/v1" in text
    absent = model_file(tmp_path, path=str(tmp_path / "absent"), made_by="make finetune")
    assert "make it with: make finetune" in dry("search", *ask, "--model", absent, code=2)


def test_a_sweep_and_the_tuning_of_rivals_are_counted(dry, tmp_path):
    said = dry("search", "sweep", "configs/search/rivals.yaml", "--out", tmp_path / "rivals")
    assert said["scenarios"] == 12
    assert said["runs"] == 12 * 3 * 2 * len(said["arms"].split(", "))
    assert said["finished"] == 0
    assert "split: validation" in said["text"]
    said = dry("search", "tune-baselines", "--out", tmp_path / "tune", "--into", tmp_path)
    assert said["genetic"] == "112 searches of 500 episodes"
    assert said["writes"].endswith("reinforce.yaml, marl.yaml, genetic.yaml, tpe.yaml")


def test_tables_are_counted(dry, tmp_path):
    said = dry("search", "lookup-table", "--tasks", 5, "--out", tmp_path / "table.parquet")
    assert (said["tasks"], said["evaluations"]) == (5, 5 * 4000)
    said = dry("search", "challenge", "--round", 3, "--designs", 7, "--out", tmp_path)
    assert (said["round"], said["trainings_at_most"]) == (3, 7)
    said = dry("cim_sim", "bench-accuracy", "--n", 4, "--out", tmp_path)
    assert (said["trainings"], said["finished"]) == (4, 0)
    assert said["writes"] == str(tmp_path / "trainings.jsonl")


def test_what_is_only_computed_is_counted(dry, tmp_path):
    where = ["--scenario", SCENARIO, "--space", SPACE, "--out", tmp_path / "best.json"]
    said = dry("search", "optimum", *where)
    assert said["designs"] == "481,890,304"
    assert said["method"] == "independent beam searches"
    said = dry("search", "family", "--count", 3, "--correlation", "--split", "near")
    assert (said["splits"], said["tasks_of_each"], said["training"]) == ("near", 3, 500)
    said = dry("search", "family", "--count", 3, "--split", "near", "--out", tmp_path / "near")
    assert said["writes"] == f"{tmp_path / 'near'}: NAME.yaml and NAME-space.yaml of each"
    said = dry("cim_sim", "surrogate", "--fresh", 9)
    assert (said["trainings"], said["writes"]) == (9, "nothing")


def test_a_comparison_names_its_arms_or_what_is_unequal(dry, tmp_path):
    even = [searched(tmp_path / f"even{seed}", seed=seed) for seed in (0, 1)]
    said = dry("search", "compare", *even, "--out", tmp_path / "page")
    assert (said["arms"], said["runs"], said["unfinished"]) == ("random", 2, 0)
    other = searched(tmp_path / "other", optimizer="tpe", batch=3)
    err = dry("search", "compare", even[0], other, "--out", tmp_path / "page", code=3)
    assert "batch: 1 is not 3" in err


def test_a_served_model_is_shown_with_the_command_of_vllm(dry, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "fastest", lambda: server.Precision(dtype="float32", reason="so"))
    monkeypatch.setattr(server, "vllm_version", lambda: "vllm 0.32.0")
    for folder in (tmp_path / "base", tmp_path / "adapter" / "merged"):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
    base = model_file(tmp_path, path=str(tmp_path / "base"), server={"dtype": "float32"})
    said = dry("search", "serve", "--model", base, "--log", tmp_path / "log")
    assert f"-m vllm.entrypoints.openai.api_server --model {tmp_path / 'base'}" in said["text"]
    assert (said["model"], said["writes"]) == ("m", str(tmp_path / "log"))
    adapter = tmp_path / "adapter"
    said = dry("finetune", "roundtrip", "--adapter", adapter, "--model", base, "--base", base)
    for path in (adapter / "merged", tmp_path / "base"):
        assert f"-m vllm.entrypoints.openai.api_server --model {path}" in said["text"]
    assert said["writes"] == f"{adapter / 'roundtrip.json'}"


def test_what_is_done_to_models_is_said(dry, tmp_path):
    said = dry("finetune", "bench", "--steps", 3, "--set", "max_steps=7")
    assert "max_steps 7 (-1)" in said["text"]
    assert said["steps"] == "3 of the trainer, as many bare ones"
    merge = ["merge", "--adapter", tmp_path]
    assert "no finished adapter; make one" in dry("finetune", *merge, code=2)
    (tmp_path / "adapter_manifest.json").write_text(json.dumps(MANIFEST))
    said = dry("finetune", *merge)
    assert (said["base"], said["writes"]) == ("org/m", str(tmp_path / "merged"))
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    said = dry("finetune", "base", "--model", tmp_path / "model.gguf")
    assert said["writes"] == "runs/models/model, once"
    assert dry("finetune", "base", "--model", tmp_path)["writes"] == "nothing: it is there"
    assert dry("finetune", "base", "--model", "org/m")["writes"].startswith("the hub's cache")


def test_the_data_of_a_fine_tuning_are_counted(dry, tmp_path):
    said = dry("finetune", "traces", "--out", tmp_path / "data")
    assert said["surrogate"] == "1500 training tasks searched"
    assert said["parts"] == "30, of which 0 are there"
    err = dry("finetune", "dataset", "--data", tmp_path, code=2)
    assert "traces.parquet is missing; make it: python -m finetune traces" in err
    write_traces(tmp_path, tasks("train", 2), [])
    said = dry("finetune", "dataset", "--data", tmp_path)
    assert (said["tasks"], said["traces"]) == (2, 0)
    assert "style: dialogue" in said["text"]


def test_a_pipeline_shows_its_recipe_and_every_stage(dry, tmp_path):
    said = dry("finetune", "pipeline", "--out", tmp_path / "out", "--set", "max_steps=7")
    assert "max_steps 7 (-1)" in said["text"]
    assert (said["base"], said["steps"]) == ("runs/models/smollm2", "7")
    assert said["then"] == f"{tmp_path / 'out'}: the adapter, merged/, roundtrip.json"
    assert not Path(tmp_path / "out").exists()


def test_make_finetune_learns_from_the_traces_that_are_named(dry, tmp_path):
    places = [searched(tmp_path / f"run{seed}", seed=seed) for seed in (0, 1)]

    def typed(traces):
        make = ["make", "--dry-run", "--no-print-directory", "finetune", f"TRACES={traces}"]
        said = subprocess.run(make, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        *_, last = said.replace("\\\n", " ").splitlines()
        program, *words = shlex.split(last)[2:]
        assert program == "finetune"
        return words

    said = dry("finetune", *typed(" ".join(map(str, places))), "--out", tmp_path / "out")
    assert said["runs"] == "2 with 6 trials"
    assert said["surrogate"] == "0 training tasks searched"
    assert {"--runs", "configs/finetune/dialogues-own.yaml"}.isdisjoint(typed(""))


def test_a_probe_says_whom_it_would_ask(dry, tmp_path):
    remote = model_file(tmp_path, model="org/m", base_url="http://127.0.0.1:9/v1")
    said = dry("finetune", "probe", "--model", remote, "--questions", 50, "--out", tmp_path / "p")
    assert "answered by org/m at http://127.0.0.1:9/v1" in said["text"]
    assert said["questions_at_most"] == 50
