"""Cell noise, converted to the noise of a weight, against simulated bit slices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cim_sim.config import UsageError, parse
from cim_sim.variation import (
    MIDDLE_STATE_FACTOR,
    SWIM_VERIFIED_SIGMA,
    Variation,
    effective_sigma,
    state_factors,
)


def simulated_sigma(cell_sigma, cell_bits, weights=200_000):
    """Write random weights as offset-binary digits, disturb each cell, read them back."""
    rng = np.random.default_rng(cell_bits)
    weight = rng.uniform(-1, 1, weights)
    code = np.clip(np.round(128 * weight + 128), 0, 255).astype(int)
    base = 2**cell_bits
    read = np.zeros(weights)
    for shift in range(0, 8, cell_bits):
        digit = (code >> shift) % base
        level = digit / (base - 1) + cell_sigma * rng.standard_normal(weights)
        read += level * (base - 1) * 2.0**shift
    return np.std((read - code) / 128)


@pytest.mark.parametrize(("cell_bits", "factor"), [(1, 1.155), (2, 1.549), (4, 1.879), (8, 1.992)])
def test_effective_sigma_is_that_of_simulated_bit_slices(cell_bits, factor):
    assert effective_sigma(0.05, cell_bits) == pytest.approx(0.05 * factor, rel=1e-3)
    assert simulated_sigma(0.05, cell_bits) == pytest.approx(0.05 * factor, rel=0.01)


@given(st.floats(0, 0.5), st.sampled_from([1, 2, 4]))
def test_effective_sigma_is_linear_in_the_cell(sigma, bits):
    assert effective_sigma(2 * sigma, bits) == pytest.approx(2 * effective_sigma(sigma, bits))


def test_a_given_weight_sigma_does_not_depend_on_cell_bits():
    assert Variation(sigma=0.07).effective(1) == Variation(sigma=0.07).effective(4) == 0.07


def test_write_verify_leaves_swims_cell_sigma_and_never_makes_it_worse():
    verified = Variation(cell_sigma=0.1, write_verify=True)
    assert verified.effective(2) == effective_sigma(SWIM_VERIFIED_SIGMA, 2)
    assert Variation(cell_sigma=0.01, write_verify=True).effective(2) == effective_sigma(0.01, 2)


def test_state_dependence_keeps_the_strength_when_two_in_five_sit_in_the_middle():
    assert state_factors("uniform") == (1, 1)
    for preset, ratio in MIDDLE_STATE_FACTOR.items():
        middle, outer = state_factors(preset)
        assert middle / outer == pytest.approx(ratio)
        assert 0.4 * middle**2 + 0.6 * outer**2 == pytest.approx(1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "give exactly one of sigma"),
        ({"sigma": 0.1, "cell_sigma": 0.1}, "give exactly one of sigma"),
        ({"sigma": 0.1, "write_verify": True}, "write_verify works on cells"),
        ({"sgma": 0.1}, "sgma is not known; did you mean sigma?"),
    ],
)
def test_faults_say_what_to_mend(data, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        parse(data, Variation, "variation")
