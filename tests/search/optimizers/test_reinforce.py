import numpy as np
import pytest
import torch

from search.optimizers.controller import Controller
from search.optimizers.reinforce import Settings, reinforce
from search.proposal import Problem
from search.record.tasks import Task
from search.record.trace import Trial


@pytest.fixture
def optimizer(config, judge):
    wanted = config()
    return reinforce(
        Problem(Task(scenario=wanted.scenario, space=wanted.space), judge(wanted).screen, 0),
        Settings(),
    )


def controller_of(choices, seed):
    return Controller(choices, np.random.default_rng(seed), hidden=35, layers=2, learning_rate=5e-3)


def trials_of(optimizer, evaluator, count):
    designs = [proposal.design for proposal in optimizer.suggest(count)]
    return [
        Trial(step=0, design=one.design, evaluation=one, started_at="", seconds=0)
        for one in evaluator.evaluate(designs)
    ]


def test_the_policy_starts_near_uniform_and_never_takes_a_missing_choice():
    controller = controller_of([7, 4, 2], 0)
    drawn = controller.sample(4000, np.random.default_rng(1))
    for place, count in enumerate((7, 4, 2)):
        shares = np.bincount(drawn[:, place], minlength=count) / len(drawn)
        assert len(shares) == count
        # Initial logits are within .2 of each other, sampling errs by .008: five of those.
        assert shares == pytest.approx(1 / count, abs=0.04 + 0.1 / count)


def test_gradient_steps_raise_the_chance_of_what_was_rewarded():
    controller = controller_of([4, 4], 0)
    good, bad = np.array([[1, 2]]), np.array([[3, 0]])

    def chance(choices):
        log = controller._log_probabilities(torch.from_numpy(choices))
        taken = log.gather(2, torch.from_numpy(choices)[:, :, None])
        return float(taken.sum().exp().detach())

    before = chance(good), chance(bad)
    for _ in range(10):
        controller.step(np.vstack([good, bad]), np.array([1.0, -1.0]))
    assert chance(good) > 1.5 * before[0]
    assert chance(bad) < before[1]


def test_sampling_follows_the_probabilities_of_teacher_forcing():
    controller = controller_of([3, 2], 3)
    for _ in range(15):
        controller.step(np.array([[2, 1], [0, 0]]), np.array([1.0, -0.5]))
    drawn = controller.sample(4000, np.random.default_rng(4))
    for first in range(3):
        for second in range(2):
            choices = torch.tensor([[first, second]])
            log = controller._log_probabilities(choices)
            expected = float(log.gather(2, choices[:, :, None]).sum().exp().detach())
            found = np.mean((drawn == (first, second)).all(axis=1))
            assert found == pytest.approx(expected, abs=0.04)  # five standard errors at most


def test_it_learns_every_five_episodes_from_a_moving_baseline(optimizer, config, judge):
    evaluator = judge(config())
    before = optimizer.agents[0].controller.head.detach().clone()
    trials = trials_of(optimizer, evaluator, 4)
    optimizer.update(trials)
    assert torch.equal(optimizer.agents[0].controller.head, before)
    last = trials_of(optimizer, evaluator, 1)
    optimizer.update(last)
    assert not torch.equal(optimizer.agents[0].controller.head, before)
    baseline = trials[0].score
    for trial in [*trials, *last]:
        baseline += 2 / 21 * (trial.score - baseline)
    assert optimizer.baseline == pytest.approx(baseline)


def test_an_infeasible_design_scores_minus_one(optimizer, config, judge):
    tight = {**config().scenario.model_dump(exclude_none=True), "limits": {"area_um2": 1.0}}
    optimizer.update(trials_of(optimizer, judge(config(scenario=tight)), 5))
    assert optimizer.baseline == -1.0


def test_it_improves_on_its_own_first_designs(config, judge):
    """Rewarded by energy alone, the policy leaves the dear designs behind."""
    wanted = config()
    evaluator = judge(wanted)
    problem = Problem(Task(scenario=wanted.scenario, space=wanted.space), evaluator.screen, 0)
    optimizer = reinforce(problem, Settings(learning_rate=0.02))
    scores = []
    for _ in range(60):
        trials = trials_of(optimizer, evaluator, 5)
        optimizer.update(trials)
        scores += [trial.score for trial in trials]
    assert np.mean(scores[-50:]) > np.mean(scores[:50]) + 0.1
