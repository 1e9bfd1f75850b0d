"""Intervals: what they cover, and that they are open where they must be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cim_sim.intervals import Interval, bootstrap, bootstrap_groups


def test_one_value_allows_no_interval():
    for values in ([0.4], [[0.4]]):
        single = bootstrap(values, np.random.default_rng(0))
        assert single == Interval(mean=0.4, n=1)
        assert single.contains_zero is None
        assert f"{single:.2f}" == "0.40"


def test_an_interval_says_when_the_sign_is_open():
    rng = np.random.default_rng
    sure = bootstrap([0.1, 0.2, 0.15], rng(0))
    assert sure.mean == pytest.approx(0.15)
    assert (sure.low, sure.high) == pytest.approx((0.1, 0.2))
    assert sure.contains_zero is False
    assert f"{sure:.2f}" == "0.15 [0.10, 0.20]"
    assert bootstrap([0.1, -0.2, 0.15], rng(0)).contains_zero
    assert sure == bootstrap([0.1, 0.2, 0.15], rng(0)), "same generator, same interval"


def test_coverage_of_the_mean_of_many_normal_values():
    """Of 120 intervals from 30 values about .94 should hold the mean; 4 sigma is .087."""
    rng = np.random.default_rng(1)
    held = [bootstrap(rng.normal(0.3, 1, 30), rng) for _ in range(120)]
    share = np.mean([one.low <= 0.3 <= one.high for one in held])
    assert 0.85 < share <= 1


def test_groups_that_differ_widen_the_interval():
    rng = np.random.default_rng
    table = np.array([[0.0, 0.1], [1.0, 1.1], [2.0, 2.1], [3.0, 3.1]])
    apart = bootstrap(table, rng(0))
    together = bootstrap(table.ravel(), rng(0))
    assert apart.high - apart.low > together.high - together.low


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 5)),
                     elements=st.floats(-1, 1)))  # fmt: skip
def test_an_interval_holds_its_mean_and_stays_in_range(table):
    one = bootstrap(table, np.random.default_rng(0))
    assert table.min() - 1e-9 <= one.low <= one.high <= table.max() + 1e-9


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
