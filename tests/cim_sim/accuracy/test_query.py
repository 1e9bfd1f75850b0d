"""Keys: what they depend on, and that no later change of the code moves them."""

import pytest

from cim_sim.accuracy import Adc, Query, Recipe

LAYERS = ((8, 3), (8, 3), (16, 5), (16, 3), (32, 1), (32, 3))
PLAIN = Query(layers=LAYERS, dataset="shapes", training_sigma=0.1, sigma=0.1)
OTHER = Query(
    layers=LAYERS,
    dataset="digits",
    recipe=Recipe(epochs=3, clip_rms=None, weight_bits=5),
    training_sigma=0.05,
    sigma=0.2,
    adc=Adc(levels=32, rows=128),
    seed=7,
)


@pytest.mark.parametrize(
    ("query", "training_key", "key"),
    [
        (PLAIN, "ebb2aa045fec4175", "fed7d68ad9b53a85"),
        (OTHER, "d75098f9bbdc57d7", "213d11dc7c49b82c"),
    ],
)
def test_keys_are_those_of_the_committed_tables_and_caches(query, training_key, key):
    """A field that is added later must leave them alone: optional, None, and what was before."""
    assert (query.training_key, query.key) == (training_key, key)


@pytest.mark.parametrize(
    "changes",
    [
        {"sigma": 0.2},
        {"state_dependence": "evaxb-rram4"},
        {"adc": Adc(levels=16, rows=64)},
        {"images": "exam"},
        {"recipe": Recipe(draws=3)},
    ],
)
def test_what_only_tests_differ_in_shares_one_training(changes):
    other = PLAIN.model_copy(update=changes)
    assert other.training_key == PLAIN.training_key
    assert other.key != PLAIN.key


@pytest.mark.parametrize(
    "changes",
    [
        {"training_sigma": 0.2},
        {"seed": 1},
        {"dataset": "digits"},
        {"recipe": Recipe(clip_rms=None)},
    ],
)
def test_what_training_depends_on_is_in_its_key(changes):
    assert PLAIN.model_copy(update=changes).training_key != PLAIN.training_key
