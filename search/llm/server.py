"""vLLM as a child process: started for a run, watched, and always stopped."""

import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from cim_sim.config import UsageError
from search.llm.model import ModelConfig, require_present
from search.llm.precision import Dtype, Precision, chosen, fastest
from search.proposal import SearchStopped

HOST = "127.0.0.1"
PROGRAM = (sys.executable, "-m", "vllm.entrypoints.openai.api_server")
"""Starts vLLM's server."""
ALLOWED_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as --max-lora-rank."""
CPU_STEP_TOKENS = 2048
"""Of all prompts that one step takes up, as vLLM's own default on a CPU."""
LOOK_S = 0.25
LOG_LINES = 15
STOP_S = 30.0
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""What vLLM gets unless it is set already: nothing leaves the machine, and cores are shared.

Without multiprocessing the CPU build keeps the model in the process of the engine, see
`_in_one_process`.
"""
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Reaches this machine, whatever proxy the environment names."""


class Server:
    """A running vLLM server; see `serving`."""

    def __init__(self, model: ModelConfig, log: Path) -> None:
        require_present(model)
        self.model, self.log = model, log
        self.port = _port(model)
        self.base_url = f"http://{HOST}:{self.port}/v1"
        self.command = command(model, self.port)
        self._child = _start(self.command, log)

    def fault(self) -> str | None:
        """Say what happened when the server has died; None while it lives."""
        if self._child.poll() is None:
            return None
        return self._with_log(f"the server of model {self.model.name} ended by itself")

    def wait(self) -> None:
        """Return when the model answers.

        Raises:
            SearchStopped: it died or took longer than `ready_s`; with the end of its log, and
                the command to run by hand.
        """
        deadline = time.monotonic() + self.model.server.ready_s
        while not self._answers():
            if fault := self.fault():
                raise SearchStopped(fault)
            if time.monotonic() > deadline:
                patience = f"{self.model.server.ready_s:g} s"
                raise SearchStopped(
                    self._with_log(f"model {self.model.name} was not ready after {patience}")
                )
            time.sleep(LOOK_S)
        if fault := self.fault():  # another program answers in its place
            raise SearchStopped(fault)

    def stop(self) -> None:
        """End the server and everything it started."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(STOP_S)

    def _answers(self) -> bool:
        try:
            with _DIRECT.open(f"{self.base_url}/models", timeout=2) as response:
                served = json.load(response)["data"]
        except (OSError, ValueError, KeyError):
            return False
        return any(model["id"] == self.model.request_name for model in served)

    def _with_log(self, what: str) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        end = "\n  ".join(lines[-LOG_LINES:])
        return (
            f"{what}; the end of {self.log}:\n  {end}\n"
            f"to see it by hand, run:\n  {hand_command(self.command)}"
        )


@contextmanager
def serving(model: ModelConfig, log: Path) -> Iterator[Server]:
    """Serve a local model as long as the context lasts.

    The server also ends when this process dies, however it dies (see `search.llm.watchdog`).

    Args:
        model: with a `path`.
        log: what the server prints is appended here.

    Raises:
        UsageError: model or adapter are absent, or the port is taken.
        SearchStopped: the server does not come up.
    """
    server = Server(with_dtype(model), log)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def with_dtype(model: ModelConfig) -> ModelConfig:
    """Return a model with the type that vLLM is to compute in, and say why it is this one."""
    named = model.server.dtype
    if model.path is None or named == fastest().dtype:
        return model
    require_present(model)
    settings = model.server.model_copy(update={"dtype": _announced(named).dtype})
    return model.model_copy(update={"server": settings})


def vllm_version() -> str:
    """Return name and version of the installed build.

    Raises:
        UsageError: there is none.
    """
    for name in ("vllm", "vllm-cpu"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    raise UsageError("vLLM is not installed: make setup (GPU=1 for the GPU build)")


@cache
def _announced(named: Dtype | None) -> Precision:
    """Choose the type, and say so once."""
    precision = chosen(named, "server.dtype")
    print(f"vLLM computes in {precision}", flush=True)
    return precision


def command(model: ModelConfig, port: int) -> list[str]:
    """Return vLLM's command line for a local model."""
    server = model.server
    words = [*PROGRAM, "--model", str(model.path), "--host", HOST, "--port", str(port)]
    words += ["--served-model-name", f"{model.name}-base" if model.adapter else model.name]
    words += ["--max-model-len", str(model.max_model_len), "--seed", "0"]
    words += ["--max-num-seqs", str(model.concurrency), "--generation-config", "vllm"]
    if server.enforce_eager:
        words += ["--enforce-eager"]
    if server.dtype:
        words += ["--dtype", server.dtype]
    if server.kv_cache_bytes:
        words += ["--kv-cache-memory-bytes", str(server.kv_cache_bytes)]
    if vllm_version().startswith("vllm-cpu"):
        words += [*_in_one_process(), *_whole_prompts(model), *_short_blocks()]
    return [*words, *_lora(model), *server.arguments]


def _in_one_process() -> list[str]:
    """Keep the engine from spinning on a core of its own while the model computes on another.

    By default the CPU build computes in a worker process, and the engine polls shared memory until
    the worker answers. On two cores, with four searches of eight proposals, an episode took 2.27 s
    that way and 1.74 s in one process, 3.2 and 1.9 CPU seconds, with .8 GB less memory.
    """
    return ["--distributed-executor-backend", "uni"]


def _whole_prompts(model: ModelConfig) -> list[str]:
    """Keep the CPU build from cutting a prompt in two.

    vLLM 0.32 takes back the random number that it drew after a part of a prompt; torch cannot do
    that on a CPU, and the server would die as soon as seeded prompts fill a step.
    """
    tokens = max(model.max_model_len, CPU_STEP_TOKENS)
    return ["--no-enable-chunked-prefill", "--max-num-batched-tokens", str(tokens)]


def _short_blocks() -> list[str]:
    """Let prompts share what they have in common to within 32 tokens.

    vLLM keeps keys and values of whole blocks alone, on a CPU of 128 tokens. Questions about two
    designs of one task share some 300 of 350 tokens, of which 256 are read once and with short
    blocks 288: on two cores, 16 at a time, 13.8 questions per second instead of 9.5.
    """
    return ["--block-size", "32"]


def start_command(model: ModelConfig) -> str:
    """Return the command that would serve a local model now, ready to paste.

    Raises:
        UsageError: model, adapter or vLLM are absent, or the port is taken.
    """
    require_present(model)
    return hand_command(command(with_dtype(model), _port(model)))


def hand_command(words: list[str]) -> str:
    """Return a command with its environment, ready to paste."""
    settings = [f"{name}={os.environ.get(name, value)}" for name, value in ENVIRONMENT.items()]
    return " ".join([*settings, shlex.join(words)])


def lora_rank(adapter: Path) -> int:
    """Return the smallest rank that vLLM allows and the adapter fits into.

    Raises:
        UsageError: the adapter has none, or too large a one.
    """
    file = adapter / "adapter_config.json"
    try:
        rank = json.loads(file.read_text(encoding="utf-8"))["r"]
        return next(allowed for allowed in ALLOWED_RANKS if allowed >= rank)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file}: no rank r: {error}") from None
    except StopIteration:
        raise UsageError(f"{file}: rank {rank} is above vLLM's {ALLOWED_RANKS[-1]}") from None


def _lora(model: ModelConfig) -> list[str]:
    if model.adapter is None:
        return []
    words = ["--enable-lora", "--max-lora-rank", str(lora_rank(model.adapter))]
    words += ["--lora-modules", f"{model.name}={model.adapter}"]
    template = model.adapter / "chat_template.jinja"
    return [*words, "--chat-template", str(template)] if template.is_file() else words


def _start(words: list[str], log: Path) -> "subprocess.Popen[bytes]":
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**ENVIRONMENT, **os.environ}
    environment.pop("VLLM_API_KEY", None)  # a server that nobody else reaches asks for no key
    watched = [sys.executable, "-I", str(Path(__file__).with_name("watchdog.py")), *words]
    with log.open("ab") as output:
        return subprocess.Popen(
            watched,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )


def _port(model: ModelConfig) -> int:
    """Return the port to serve on.

    Raises:
        UsageError: it is in use, and by whom.
    """
    wanted = model.server.port or 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            raise UsageError(
                f"model {model.name}: port {wanted} on {HOST} is in use{_listener(wanted)}; "
                "give another server.port, or leave it out for a free one"
            ) from None
        port: int = probe.getsockname()[1]
        return port


def _listener(port: int) -> str:
    try:
        for listener in psutil.net_connections("tcp"):
            listens = listener.status == psutil.CONN_LISTEN
            if listens and listener.laddr and listener.laddr.port == port:
                name = psutil.Process(listener.pid).name() if listener.pid else "not shown to you"
                return f" by process {listener.pid} ({name})"
    except psutil.Error:  # not ours to see, or gone meanwhile
        pass
    return ""
