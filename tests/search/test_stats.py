"""Curves and regret."""

import numpy as np
import pytest

from cim_sim.evaluate import Evaluation, Infeasible
from cim_sim.space import parse_design
from search.record.trace import Failure, Trial
from search.stats import (
    RegretEnds,
    best_so_far,
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
