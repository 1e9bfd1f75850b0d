from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm

from search.landscape import draw, prices
from search.optimizers.acquisition import AccuracyModel
from search.optimizers.greybox import Greybox, Settings
from search.proposal import Problem
from search.record.tasks import Task
from search.record.trace import Trial

SMALL = Settings(n_startup_trials=4, pool=200, climbs=2, rounds=1)


@pytest.fixture
def problem(config, judge):
    limits = {"area_um2": 1.5e7, "accuracy": 0.2}
    scenario = {**config().scenario.model_dump(exclude_none=True), "limits": limits}
    wanted = config(scenario=scenario)
    return Problem(
        Task(scenario=wanted.scenario, space=wanted.space), judge(wanted).screen, 0
    ), judge(wanted)


def search(problem, evaluator, rounds, batch=1):
    optimizer = Greybox(problem, SMALL)
    found = []
    for _ in range(rounds):
        designs = [proposal.design for proposal in optimizer.suggest(batch)]
        evaluations = evaluator.evaluate(designs)
        optimizer.update(
            [
                Trial(step=0, design=one.design, evaluation=one, started_at="", seconds=0)
                for one in evaluations
            ]
        )
        found += evaluations
    return optimizer, found


@pytest.mark.parametrize("batch", [1, 4])
def test_nothing_is_proposed_twice_or_infeasible_for_free(problem, batch):
    _, found = search(*problem, rounds=12 // batch, batch=batch)
    assert len({one.design.design_id for one in found}) == 12
    assert not any(one.infeasible and one.infeasible.kind != "accuracy" for one in found)


def test_acquisition_is_the_expected_improvement_over_accuracies_that_count(problem):
    optimizer, _ = search(*problem, rounds=5)
    where = problem[0]
    population = draw(where.space, 60, np.random.default_rng(3))
    optimizer._model.fit(optimizer._rows, optimizer._accuracies)
    values = optimizer._acquisition(population)
    price = prices(where.scenario, where.space, population)
    means, stds = optimizer._model.predict(population)
    quantiles = norm.ppf((np.arange(4000) + 0.5) / 4000)
    assert 0 < price.allowed.sum() < 60
    for row in range(60):
        if not price.allowed[row]:
            assert values[row] == -np.inf
            continue
        accuracy = means[row] + stds[row] * quantiles
        cost = SimpleNamespace(energy_pj=price.energy_pj[row], latency_ns=price.latency_ns[row])
        reward = where.scenario.objective.reward(accuracy, cost)
        gain = np.where(accuracy > 0.2, np.maximum(reward - optimizer._best, 0), 0)
        assert np.exp(values[row]) == pytest.approx(gain.mean(), abs=1e-4)


def test_the_model_interpolates_what_it_saw_and_doubts_what_it_did_not(problem):
    where = problem[0]
    rows = draw(where.space, 40, np.random.default_rng(0))
    truth = 0.3 + 0.02 * rows[:, 0::2].mean(axis=1)
    model = AccuracyModel(where, 1.1)
    model.fit(list(rows[:30]), list(truth[:30]))
    seen, near = model.predict(rows[:30])
    assert np.abs(seen - truth[:30]).max() < 0.01
    unseen, far = model.predict(rows[30:])
    assert np.abs(unseen - truth[30:]).max() < 0.02
    assert far.mean() > near.mean()


def test_kernel_parameters_are_estimated_only_when_the_data_have_grown(problem):
    where = problem[0]
    rows = list(draw(where.space, 25, np.random.default_rng(0)))
    model = AccuracyModel(where, 1.2)
    model.fit(rows[:20], [0.1 * k for k in range(20)])
    kernel = model._kernel
    model.fit(rows[:22], [0.1 * k for k in range(22)])
    assert model._kernel is kernel
    model.fit(rows[:24], [0.1 * k for k in range(24)])
    assert model._kernel is not kernel


def test_while_nothing_is_feasible_it_makes_feasibility_likely(problem):
    where, _ = problem
    optimizer = Greybox(where, SMALL)
    rows = draw(where.space, 30, np.random.default_rng(0))
    optimizer._rows, optimizer._accuracies = list(rows), [0.02 * (row[0] + 1) for row in rows]
    (proposal,) = optimizer.suggest(1)

    def chances(population):
        mean, std = optimizer._model.predict(population)
        return norm.logcdf((mean - where.scenario.limits.accuracy) / std)

    random = draw(where.space, 500, np.random.default_rng(1))
    random = random[prices(where.scenario, where.space, random).allowed]
    chosen = np.array([where.space.encode(proposal.design)])
    assert chances(chosen)[0] > np.quantile(chances(random), 0.9)
