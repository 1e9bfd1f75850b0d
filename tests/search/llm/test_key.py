"""The key of an endpoint goes into requests, and into nothing that is written or said."""

import sys

import pytest
import yaml

from cim_sim.config import UsageError
from search.__main__ import main
from search.llm.connection import key_of_environment
from search.record.runs import read_run

KEY = "sk-never-to-be-written"
DESIGN = "[[16,3],[16,3],[32,3],[32,3],[64,3],[64,3]]"
PROBLEM = [
    "--scenario", "configs/scenarios/embedded-latency.yaml",
    "--space", "configs/spaces/embedded.yaml", "--evaluator", "surrogate",
]  # fmt: skip


@pytest.fixture
def run(monkeypatch, tmp_path, capsys, http_model):
    """Search with a model behind OPENAI_BASE_URL; returns exit code, output and the endpoint."""

    def search(*replies):
        server = http_model(*replies)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        file = tmp_path / "remote.yaml"
        file.write_text(yaml.safe_dump({"name": "remote", "model": "org/m", "tries": 1}))
        words = ["search", "run", "--optimizer", "llm", "--model", file, *PROBLEM]
        words += ["--episodes", "2", "--out", tmp_path / "run"]
        monkeypatch.setattr(sys, "argv", list(map(str, words)))
        code = main()
        said = capsys.readouterr()
        return code, said.out + said.err, server

    return search


def written(folder):
    """All bytes of all files of a run, and their names."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return b"\n".join([str(file).encode() + file.read_bytes() for file in files])


def test_a_run_holds_the_endpoint_and_not_its_key(run, tmp_path):
    code, said, server = run("no design", DESIGN, DESIGN)
    assert code == 0
    assert len(server.requests) == 3
    assert {one["headers"]["authorization"] for one in server.requests} == {f"Bearer {KEY}"}
    record = read_run(tmp_path / "run")
    assert record.manifest.model["base_url"] == server.base_url
    assert len(record.exchanges) == 3
    assert KEY.encode() not in written(tmp_path / "run")
    assert KEY not in said


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (b'{"error": "key sk-never-to-be-written has no credit"}', 1, "key *** has no credit"),
        ((401, f"wrong key: {KEY}".encode()), 2, "HTTP 401: wrong key: ***"),
        (f"the key {KEY} is fine, but this is no design", 0, "the key *** is fine"),
    ],
)
def test_a_server_that_repeats_the_key_does_not_get_it_recorded(run, tmp_path, answer, code, told):
    got, said, _ = run(DESIGN, *[answer] * 3)
    assert got == code
    assert told.encode() in written(tmp_path / "run")
    assert KEY.encode() not in written(tmp_path / "run")
    assert KEY not in said


def test_a_key_with_a_line_end_is_used_without_it(run, monkeypatch, tmp_path):
    monkeypatch.setattr(f"{__name__}.KEY", f"{KEY}\r\n")
    code, said, server = run(DESIGN, DESIGN)
    assert code == 0
    assert {one["headers"]["authorization"] for one in server.requests} == {f"Bearer {KEY.strip()}"}
    assert KEY.strip() not in said


@pytest.mark.parametrize("key", ["", " ", "sk-schl\u00fcssel", "sk-\x07bell"])
def test_a_key_that_no_header_carries_is_refused_and_not_shown(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UsageError) as refused:
        key_of_environment()
    assert str(refused.value).startswith("OPENAI_API_KEY is empty or holds characters that no key")
    assert "schl" not in str(refused.value)
