"""Tasks on a Ray cluster: on many machines, or on local workers when no cluster is named."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from cim_sim.config import UsageError

Executor = Literal["processes", "ray"]
"""Where parallel work runs: this machine's processes, or a Ray cluster."""
RETRIES = 5
"""Times that a task is started again because its worker or machine died."""


def each(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[tuple[int, Any]]:
    """Yield (index of the task, what `function` returned for it) as the tasks end.

    A task whose worker dies is done again elsewhere; an error that `function` raises ends all.
    `RAY_ADDRESS` names the cluster (the package must be installed on its machines); without it a
    local one with `workers` workers is started and stopped.

    Raises:
        UsageError: Ray is not installed, or the cluster does not answer.
    """
    with _connected(workers) as ray:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(function)
        waiting = {remote.remote(*task): index for index, task in enumerate(tasks)}
        while waiting:
            [done], _ = ray.wait([*waiting], num_returns=1)
            yield waiting.pop(done), ray.get(done)


@contextmanager
def _connected(workers: int) -> Iterator[Any]:
    # Ray's next default; without it Ray warns about hiding GPUs from tasks that ask for none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
    try:
        import ray

        _require_listener(address)
        local = {} if address else {"num_cpus": workers, "include_dashboard": False}
        quiet = {"log_to_driver": False, "logging_level": "error"}
        one_thread = {"env_vars": {"OMP_NUM_THREADS": "1"}}  # as in the pools of processes
        ray.init(address=address or "local", runtime_env=one_thread, **quiet, **local)
    except ImportError:
        raise UsageError("--executor ray: Ray is not installed; pip install '.[ray]'") from None
    except OSError as error:
        raise UsageError(f"RAY_ADDRESS {address}: no cluster answers: {error!s:.200}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_listener(address: str | None) -> None:
    """Knock first: Ray itself waits minutes for a machine that does not answer."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()
