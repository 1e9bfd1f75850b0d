"""Active rounds: the designs are the surrogate's favourites, feasible, and reproducible."""

from itertools import islice

import numpy as np
import pytest

from cim_sim import cost
from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.workload import Workload
from search.study import active


@pytest.fixture(scope="module")
def problems():
    return list(islice(active._problems(np.random.default_rng(3)), 4))


def test_problems_take_both_objectives_in_turn(problems):
    assert [one.objective for one in problems] == ["energy", "latency"] * 2
    assert len({(one.sigma, one.hardware) for one in problems}) == 4


def test_the_found_design_is_feasible_and_beats_random_search(problems, monkeypatch):
    monkeypatch.setattr(active, "GENERATIONS", 8)
    model = surrogate.load()
    problem = problems[0]
    rng = np.random.default_rng(0)
    found = active.best(problem, model, rng)
    widths = np.array([[layer.channels * problem.width_divisor for layer in found]])
    kernels = np.array([[layer.kernel for layer in found]])
    price = cost.evaluate(Workload().stack_of(widths, kernels), problem.hardware)
    assert price.feasible.all()
    assert price.area_um2[0] <= problem.area_um2
    genes = np.hstack(
        [
            np.searchsorted(problem.channels, widths),
            np.searchsorted(problem.kernels, kernels),
        ]
    )
    best = problem.score(genes, model)[0]
    assert best >= problem.score(problem.random(rng, 300), model).max()


def test_a_round_is_the_same_each_time_and_named(monkeypatch):
    monkeypatch.setattr(active, "GENERATIONS", 2)
    model = surrogate.load()
    jobs = active.round_jobs(model, 2, problems=4)
    assert jobs == active.round_jobs(model, 2, problems=4)
    assert len({job.key for job in jobs}) == 4
    assert {job.origin for job in jobs} == {"found 2"}
    assert all(query.training_sigma <= 0.2 for job in jobs for query in job.queries)
