"""Tasks on many workers: processes of this machine, or a Ray cluster."""

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from cim_sim.config import UsageError
from cim_sim.extras import missing

ResultT = TypeVar("ResultT")

Executor = Literal["processes", "ray"]
"""Where parallel work runs: this machine's processes, or a Ray cluster."""
RETRIES = 5
"""Times that Ray starts a task again because its worker or machine died."""
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Of each worker: sums are taken in one order, and workers do not fight over cores."""


class Done(NamedTuple, Generic[ResultT]):
    """A finished task: its place in the list of tasks, and what the function returned."""

    number: int
    result: ResultT


def each(
    function: Callable[..., ResultT],
    tasks: Sequence[tuple[Any, ...]],
    workers: int,
    executor: Executor = "processes",
) -> Iterator[Done[ResultT]]:
    """Yield what `function` returns for the arguments in each task, as the tasks end.

    Processes end with this one, however it ends. On Ray a task whose worker dies is done again
    elsewhere; `RAY_ADDRESS` names the cluster (the package must be installed on its machines),
    without it a local one with `workers` workers is started and stopped.

    Raises:
        Exception: what `function` raises ends all.
        KeyboardInterrupt: the processes have been stopped.
        BrokenProcessPool: a process was killed; the others have been stopped.
        UsageError: Ray is not installed, or the cluster does not answer.
    """
    run = _on_ray if executor == "ray" else _on_processes
    yield from run(function, tasks, workers)


def _on_processes(
    function: Callable[..., ResultT], tasks: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[Done[ResultT]]:
    # Fresh interpreters: a forked one would inherit PyTorch's thread state.
    spawn = multiprocessing.get_context("spawn")
    strangers = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, spawn, initializer=_begin)
    try:
        with _environment(ONE_THREAD):  # processes start while tasks are handed in
            places = {pool.submit(function, *task): index for index, task in enumerate(tasks)}
        for future in as_completed(places):
            yield Done(places[future], future.result())
    except BaseException:
        for child in set(multiprocessing.active_children()) - strangers:
            child.terminate()  # every line on the disk is whole, or torn and dropped
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """What processes that start now find in their environment; this one's stays as it is."""
    before = {name: os.environ[name] for name in changes if name in os.environ}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in changes:
            del os.environ[name]
        os.environ.update(before)


def _begin() -> None:
    """Leave Ctrl-C to the parent, and end when the parent does, even by `kill -9`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=follow, args=(parent.sentinel,), daemon=True).start()


def _on_ray(
    function: Callable[..., ResultT], tasks: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[Done[ResultT]]:
    with _cluster(workers) as ray:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(function)
        places = {remote.remote(*task): index for index, task in enumerate(tasks)}
        while places:
            [done], _ = ray.wait([*places], num_returns=1)
            yield Done(places.pop(done), ray.get(done))


@contextmanager
def _cluster(workers: int) -> Iterator[Any]:
    # Ray's next default; without it Ray warns about hiding GPUs from tasks that ask for none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
    try:
        import ray

        _require_listener(address)
        local = {} if address else {"num_cpus": workers, "include_dashboard": False}
        quiet = {"log_to_driver": False, "logging_level": "error"}
        begin = {"env_vars": ONE_THREAD}
        ray.init(address=address or "local", runtime_env=begin, **quiet, **local)
    except ModuleNotFoundError as error:
        raise missing(error) from None
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
