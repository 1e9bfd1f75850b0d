"""A real Ray cluster of two local workers."""

import os
from pathlib import Path

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


def test_no_result_is_lost_when_a_worker_dies(tmp_path):
    tasks = [(number, tmp_path) for number in range(12)]
    found = dict(workers.each(dies_once, tasks, workers=2))
    assert found == {number: number**2 for number in range(12)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "10", "5"]


def threads(_):
    import numpy  # noqa: F401, for its threads
    from threadpoolctl import threadpool_info

    return [library["num_threads"] for library in threadpool_info()]


def test_a_worker_takes_one_core_whatever_the_driver_takes(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    ((_, found),) = workers.each(threads, [(0,)], workers=1)
    assert set(found) == {1}


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
        next(workers.each(dies_once, [(1, ".")], workers=1))
