"""Intervals: what they cover, and that they are open where they must be."""

import numpy as np
import pytest

from cim_sim.intervals import Interval, bootstrap_groups


def test_an_interval_says_when_the_sign_is_open():
    sure = Interval(mean=0.15, low=0.1, high=0.2, n=3)
    assert sure.contains_zero is False
    assert f"{sure:.2f}" == "0.15 [0.10, 0.20]"
    assert Interval(mean=0.1, low=-0.1, high=0.2, n=3).contains_zero
    assert Interval(mean=0.4, n=1).contains_zero is None
    assert f"{Interval(mean=0.4, n=1):.2f}" == "0.40"


def test_whole_groups_are_drawn_and_a_statistic_may_be_undefined():
    """The draws of the interval of `finetune probe`, by hand."""
    rng, values = np.random.default_rng(0), np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    labels = ["b", "b", "a", "c", "c"]
    members = {0: [2], 1: [0, 1], 2: [3, 4]}
    means = []
    for _ in range(50):
        rows = [row for label in rng.integers(0, 3, 3) for row in members[int(label)]]
        means += [values[rows].mean()] if values[rows].any() else []
    one = bootstrap_groups(
        lambda rows: values[rows].mean() if values[rows].any() else np.nan,
        labels,
        np.random.default_rng(0),
        resamples=50,
    )
    assert one.mean == pytest.approx(0.6)
    assert (one.low, one.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))
    assert one.n == 3
    assert bootstrap_groups(lambda rows: 0.5, ["a", "a"], rng) == Interval(mean=0.5, n=1)


def test_an_interval_is_rounded_for_people():
    assert Interval(mean=0.12345, n=1).rounded(2) == Interval(mean=0.12, n=1)
    one = Interval(mean=0.5, low=0.123, high=0.987, n=3).rounded(1)
    assert one == Interval(mean=0.5, low=0.1, high=1.0, n=3)
