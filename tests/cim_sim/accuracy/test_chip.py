"""Network, noise, quantisers and the folded inference of a written chip."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cim_sim.accuracy import Adc, Query, Recipe, noise, quantise
from cim_sim.accuracy.images import Examples, Split
from cim_sim.accuracy.montecarlo import Chip, partial_sums
from cim_sim.accuracy.network import product
from cim_sim.accuracy.training import untrained

LAYERS = ((3, 3), (4, 1), (5, 5), (4, 3), (6, 7), (3, 1))


def query(**changes):
    common = {"dataset": "none", "training_sigma": 0.1, "sigma": 0.1, "hidden": 16}
    return Query.model_validate({"layers": LAYERS, **common, **changes})


@pytest.fixture
def split():
    random = torch.Generator().manual_seed(0)
    images = torch.randn(40, 2, 16, 16, generator=random)
    labels = torch.arange(40) % 10
    return Split(*[Examples(images, labels)] * 3)


def trained_like(asked, split):
    """An untrained network whose batch norm has seen data, so that folding matters."""
    network = untrained(asked, split)
    with torch.no_grad():
        for norm in network.norms:
            norm.weight.uniform_(0.5, 2)
            norm.bias.uniform_(-1, 1)
        network(split.train.images, list(network.weights), asked.recipe.activation_bits)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("bits", [None, 5])
def test_folded_inference_equals_the_network(split, bits):
    asked = query(recipe={"activation_bits": bits})
    network = trained_like(asked, split)
    chip = Chip(network, asked, split)
    folded = chip.logits(split.exam.images, list(network.weights))
    plain = network(split.exam.images, list(network.weights), bits)
    torch.testing.assert_close(folded, plain, rtol=1e-3, atol=2e-2 if bits else 1e-4)


def test_pools_and_sides_follow_the_query(split):
    network = untrained(query(pools_after=(1, 2)), split)
    assert network.weights[6].shape == (16, 3 * 4 * 4)
    assert [tuple(w.shape[:2]) for w in network.weights[:2]] == [(3, 2), (4, 3)]


def test_noise_has_the_asked_size_and_lets_gradients_pass():
    weight = torch.randn(64, 50, generator=torch.Generator().manual_seed(1), requires_grad=True)
    generator = torch.Generator().manual_seed(2)
    copy = noise.written(weight, 0.1, generator)
    top = float(weight.detach().abs().max())
    assert float((copy - weight).detach().std()) == pytest.approx(0.1 * top, rel=0.05)
    copy.sum().backward()
    assert torch.equal(weight.grad, torch.ones_like(weight))


def test_state_dependent_noise_is_larger_for_middle_conductances():
    """In offset-binary coding small weights sit in the middle of the conductance range."""
    levels = (0.0, 0.45, -0.45, 0.55, -0.9)
    weight = torch.cat([*(torch.full((4000,), one) for one in levels), torch.ones(1)])
    generator = torch.Generator().manual_seed(0)
    stray = noise.written(weight, 0.1, generator, "evaxb-rram4") - weight
    middle, outer = (one / (0.4 * 4**2 + 0.6) ** 0.5 for one in (4, 1))
    found = [float(part.std()) / 0.1 for part in stray[:-1].split(4000)]
    assert found == pytest.approx([middle, middle, middle, outer, outer], rel=0.05)


def test_clipping_and_weight_bits_shape_what_is_written():
    weight = torch.tensor([-3.0, -0.2, 0.0, 0.1, 0.5, 4.0])
    clipped = noise.intended(weight, Recipe(clip_rms=1.0))
    assert float(clipped.abs().max()) == pytest.approx(float(weight.square().mean().sqrt()))
    assert torch.equal(noise.intended(weight, Recipe(clip_rms=None)), weight)
    rounded = noise.intended(weight, Recipe(weight_bits=3, clip_rms=None))
    assert sorted(set((rounded / (4 / 3)).round(decimals=4).tolist())) == [-2, 0, 3]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 9),
    st.sampled_from([1, 3, 5]),
    st.sampled_from([4, 16, 64, 300]),
    st.booleans(),
)
def test_partial_sums_add_up_to_the_product(channels, kernel, rows, flat):
    random = torch.Generator().manual_seed(channels)
    values = torch.randn(2, channels, 4, 4, generator=random)
    shape = (7, channels * 16) if flat else (7, channels, kernel, kernel)
    weight = torch.randn(shape, generator=random)
    parts = list(partial_sums(values, weight, rows))
    lines = weight[0].numel()
    assert len(parts) == -(-lines // rows)
    torch.testing.assert_close(sum(parts), product(values, weight), rtol=1e-4, atol=1e-4)


def test_a_fine_adc_changes_nothing_and_a_coarse_one_does(split):
    ideal = query()
    network = trained_like(ideal, split)
    logits = {}
    for levels in (None, 4, 65536):
        adc = Adc(levels=levels, rows=16) if levels else None
        chip = Chip(network, ideal.model_copy(update={"adc": adc}), split)
        logits[levels] = chip.logits(split.exam.images, list(network.weights))
    fine = (logits[65536] - logits[None]).abs().mean()
    coarse = (logits[4] - logits[None]).abs().mean()
    assert fine < 0.01 < coarse


def test_calibration_finds_a_range_well_below_the_worst_case():
    sums = torch.randn(10_000, generator=torch.Generator().manual_seed(0))
    sums[0] = 100.0
    full_scale = quantise.calibrated_full_scale([sums], levels=16)
    assert full_scale < 50
    codes = quantise.adc_codes(sums / quantise.adc_step(16, 3.0), 16)
    assert codes.unique().tolist() == list(range(-8, 8))


def test_clipped_weights_learn_nothing_and_others_do():
    weight = torch.tensor([-0.1, 0.1, 0.2, 5.0], requires_grad=True)
    noise.intended(weight, Recipe(clip_rms=1.0)).sum().backward()
    assert weight.grad.tolist() == [1, 1, 1, 0]


def test_the_query_says_which_images_test(split):
    other = Examples(split.exam.images[:7], split.exam.labels[:7])
    asked = query()
    network = trained_like(asked, split)
    seen = [
        Chip(network, asked.model_copy(update={"images": images}), split._replace(exam=other))
        for images in ("selection", "exam")
    ]
    assert [len(chip.tests.images) for chip in seen] == [40, 7]


def test_an_adc_converts_signed_sums_of_each_group_of_word_lines():
    """One fully connected layer by hand: two groups, four codes, and a range that clips."""
    sums = torch.tensor([[0.4, -2.6], [1.7, 0.6]])
    codes = [quantise.adc_codes(part.clone(), 4) for part in sums]
    assert torch.stack(codes).tolist() == [[0, -2], [1, 1]]
