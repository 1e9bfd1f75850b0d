"""Real processes, and a real Ray cluster of two local workers."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil
import pytest

from cim_sim import workers
from cim_sim.accuracy.query import Query, Recipe
from cim_sim.accuracy.trained import measure_groups
from cim_sim.config import UsageError
from cim_sim.space import ConvChoice


@pytest.fixture(autouse=True)
def _no_cluster_of_the_user(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def dies_once(number, folder):
    """Kill the worker at the first attempt; a fifth of the tasks do."""
    mark = Path(folder) / str(number)
    if number % 5 == 0 and not mark.exists():
        mark.touch()
        os._exit(1)
    return number**2


@pytest.mark.slow
def test_no_result_is_lost_when_a_worker_dies(tmp_path):
    tasks = [(number, tmp_path) for number in range(12)]
    found = dict(workers.each(dies_once, tasks, 2, "ray"))
    assert found == {number: number**2 for number in range(12)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "10", "5"]


def threads(_):
    import numpy  # noqa: F401, for its threads
    from threadpoolctl import threadpool_info

    return [library["num_threads"] for library in threadpool_info()]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["processes", "ray"])
def test_a_worker_takes_one_core_whatever_the_parent_takes(executor, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    (done,) = workers.each(threads, [(0,)], 1, executor)
    assert set(done.result) == {1}
    assert os.environ["OMP_NUM_THREADS"] == "2"


@pytest.mark.slow
def test_accuracies_do_not_depend_on_where_they_are_measured():
    queries = [
        Query(
            layers=(ConvChoice(2, 3),) * 6,
            dataset="digits-16",
            recipe=Recipe(epochs=1, draws=2),
            training_sigma=0.1,
            sigma=0.1,
            seed=seed,
        )
        for seed in range(3)
    ]
    here = dict(measure_groups([[one] for one in queries], None, workers=1))
    there = dict(measure_groups([[one] for one in queries], None, 2, "ray"))
    assert there == here


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"RAY_ADDRESS 127\.0\.0\.1:1: no cluster answers"):
        next(workers.each(dies_once, [(1, ".")], 1, "ray"))


def test_a_missing_ray_is_named_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install '\.\[ray\]', in the checkout"):
        next(workers.each(dies_once, [(1, ".")], 1, "ray"))


def half(number):
    return number // 2 if number % 2 == 0 else 1 // 0


def test_an_error_of_a_task_ends_all_and_leaves_no_process():
    with pytest.raises(ZeroDivisionError):
        list(workers.each(half, [(number,) for number in range(50)], 2))
    assert not multiprocessing.active_children()


def test_a_killed_process_ends_the_others(tmp_path):
    with pytest.raises(BrokenProcessPool):
        list(workers.each(dies_once, [(number, tmp_path) for number in range(12)], 2))
    assert not multiprocessing.active_children()


PROGRAM = """
import os, sys, time
from pathlib import Path
from cim_sim.workers import each

def linger(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(300)

if __name__ == "__main__":
    list(each(linger, [(sys.argv[1],)] * 2, 2))
"""


def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    program, marks = tmp_path / "program.py", tmp_path / "marks"
    program.write_text(PROGRAM)
    marks.mkdir()
    parent = subprocess.Popen(
        [sys.executable, str(program), str(marks)], env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    children = until(lambda: [int(mark.name) for mark in marks.iterdir()], 2)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert len(children) == 2
    assert until(lambda: [pid for pid in children if psutil.pid_exists(pid)], 0) == []


def until(look, count):
    """What `look` gives once there is as much as wanted, or after a minute."""
    deadline = time.monotonic() + 60
    while len(look()) != count and time.monotonic() < deadline:
        time.sleep(0.05)
    return look()
