"""Curves and regret."""

import numpy as np
import pytest

from cim_sim.evaluate import Evaluation, Infeasible
from cim_sim.space import parse_design
from search.record.trace import Failure, Trial
from search.stats import (
    Interval,
    RegretEnds,
    Resampling,
    best_so_far,
    first_at_most,
    holm,
    iqm,
    normalised_regret,
    rewards_of,
)

DESIGN = parse_design("[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]", "x")
FAULT = Infeasible(kind="area", reason="too large")


def trial(step, reward=None, failure=None):
    fault = FAULT if reward is None else None
    done = Evaluation(design=DESIGN, scenario="s", reward=reward, infeasible=fault)
    known = {"failure": failure} if failure else {"evaluation": done}
    return Trial(step=step, design=DESIGN, started_at="", seconds=0, **known)


def test_best_so_far_is_nan_until_feasible_and_never_falls():
    crash = Failure(kind="crash", message="")
    rewards = [None, 0.2, -0.1, None, 0.3]
    trials = [trial(step, reward) for step, reward in enumerate(rewards)]
    trials[3] = trial(3, failure=crash)
    best = best_so_far(rewards_of(trials))
    np.testing.assert_array_equal(best, [np.nan, 0.2, 0.2, 0.2, 0.3])
    assert best_so_far(rewards_of([])).shape == (0,)


def test_a_feasible_reward_below_minus_one_still_counts():
    np.testing.assert_array_equal(best_so_far(rewards_of([trial(0, -1.5)])), [-1.5])


def test_regret_is_one_until_feasible_zero_at_the_optimum_and_clipped():
    best = [np.nan, 0.1, 0.3, 0.5, 0.6, -2.0]
    regret = normalised_regret(best, RegretEnds(0.5, 0.1, "given"))
    np.testing.assert_allclose(regret, [1, 1, 0.5, 0, 0, 1])
    with pytest.raises(ValueError, match=r"optimum 0\.1 is not above the median 0\.1"):
        normalised_regret(best, RegretEnds(0.1, 0.1, "x"))


@pytest.mark.parametrize(
    ("between", "within"),
    [("normal", 0.0), ("normal", 0.5), ("normal", 2.0), ("half zero", 0.5), ("half zero", 1.0)],
)
def test_intervals_hold_the_true_mean_in_93_percent_of_cases(between, within):
    """Of 400 samples of 8 scenarios, which differ, x 3 seeds, which differ within them."""
    rng = np.random.default_rng(1)
    effect = rng.normal(0.3, 1, (8, 1, 400))
    if between == "half zero":  # two arms are alike in half of the scenarios
        effect = rng.choice([0.0, 0.0, 0.3, 0.9], (8, 1, 400))
    noise = rng.normal(0, within, (8, 3, 400)) * (effect != 0)
    resampling = Resampling(8, 3)
    intervals = [resampling.interval(one) for one in (effect + noise).reshape(-1, 400).T]
    held = [one.low <= 0.3 <= one.high for one in intervals]
    assert np.mean(held) >= 0.93


def test_too_few_scenarios_or_seeds_give_no_interval():
    values = np.linspace(0, 1, 24)
    for scenarios, seeds in ((7, 3), (8, 2), (1, 24)):
        few = Resampling(scenarios, seeds)
        cells = values[: scenarios * seeds]
        assert few.interval(cells) == Interval(mean=cells.mean(), n=len(cells))
    enough = Resampling(8, 3).interval(values)
    assert enough.low < enough.mean < enough.high
    assert enough == Resampling(8, 3).interval(values), "the same draws"


def test_whole_scenarios_are_drawn():
    """Seeds that agree within a scenario add no certainty; cells stay together."""
    apart = np.repeat(np.arange(8.0), 3)
    mixed = np.sort(apart).reshape(3, 8).T.ravel()
    resampling = Resampling(8, 3)
    wide, narrow = resampling.interval(apart), resampling.interval(mixed)
    assert wide.high - wide.low > narrow.high - narrow.low
    assert resampling.interval(apart - apart) == Interval(mean=0, low=0, high=0, n=24)


def test_a_chance_follows_the_size_of_the_difference():
    resampling, rng = Resampling(8, 3), np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 24)
    chances = [resampling.chance(noise - noise.mean() + shift) for shift in (0.0, 0.05, 0.3)]
    assert chances[0] == pytest.approx(1.0)
    assert chances[0] > chances[1] > 0.05 > chances[2]
    assert (resampling.chance(np.zeros(24)), resampling.chance(np.ones(24))) == (
        1.0,
        pytest.approx(0),
    )


def test_the_interquartile_mean_is_that_of_the_middle_half():
    values = np.array([100.0, 1, 2, 3, 4, 5, 6, -50])
    assert iqm(values) == pytest.approx(np.mean([2, 3, 4, 5]))
    assert iqm(np.array([values, values + 1])).tolist() == pytest.approx([3.5, 4.5])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_the_first_episode_that_is_as_low():
    curves = np.array([[1.0, 0.5, 0.2], [0.4, 0.3, 0.3]])
    assert first_at_most(curves, [0.5, 0.1]).tolist() == [2.0, np.inf]
