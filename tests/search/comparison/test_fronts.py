"""Fronts and hypervolumes, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.comparison.fronts import front, hypervolume

COSTS = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
ACCURACIES = np.array([0.2, 0.5, 0.4, 0.4, 0.8])


def test_a_front_leaves_out_what_is_beaten_in_both():
    assert front(COSTS, ACCURACIES).tolist() == [0, 1, 4]


def test_a_hypervolume_is_the_area_under_the_steps():
    expected = 0.2 * (1 - 1 / 5) + 0.3 * (1 - 2 / 5) + 0.3 * (1 - 4 / 5)
    assert hypervolume(COSTS, ACCURACIES, worst=5.0) == pytest.approx(expected)
    assert hypervolume(COSTS[:1], ACCURACIES[:1], worst=1.0) == 0


@given(st.lists(st.tuples(st.floats(0.1, 1), st.floats(0, 1)), min_size=1, max_size=12))
def test_more_designs_never_dominate_less(pairs):
    costs, accuracies = np.array(pairs).T
    whole = hypervolume(costs, accuracies, 1.0)
    assert 0 <= whole <= 1
    assert (
        hypervolume(costs[:-1], accuracies[:-1], 1.0) <= whole + 1e-12 if len(pairs) > 1 else True
    )
