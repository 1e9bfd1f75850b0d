"""Network, noise, quantisers and the folded inference of a written chip."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cim_sim.accuracy import Adc, Query, Recipe, noise, quantise
from cim_sim.accuracy.images import Split
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
    return Split(images, labels, images, labels)


def trained_like(asked, split):
    """An untrained network whose batch norm has seen data, so that folding matters."""
    network = untrained(asked, split)
    with torch.no_grad():
        for norm in network.norms:
            norm.weight.uniform_(0.5, 2)
            norm.bias.uniform_(-1, 1)
        network(split.train_images, list(network.weights), asked.recipe.activation_bits)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("bits", [None, 5])
def test_folded_inference_equals_the_network(split, bits):
    asked = query(recipe={"activation_bits": bits})
    network = trained_like(asked, split)
    chip = Chip(network, asked, split)
    folded = chip.logits(split.test_images, list(network.weights), chip.affines)
    plain = network(split.test_images, list(network.weights), bits)
    torch.testing.assert_close(folded, plain, rtol=1e-3, atol=2e-2 if bits else 1e-4)


def test_pools_and_sides_follow_the_query(split):
    network = untrained(query(pools_after=(1, 2)), split)
    assert network.weights[6].shape == (16, 3 * 4 * 4)
    assert [tuple(w.shape[:2]) for w in network.weights[:2]] == [(3, 2), (4, 3)]


def test_noise_has_the_asked_size_and_lets_gradients_pass():
    weight = torch.randn(64, 50, generator=torch.Generator().manual_seed(1), requires_grad=True)
    generator = torch.Generator().manual_seed(2)
    copy = noise.written(weight, 0.1, Recipe(), generator)
    top = float(weight.detach().abs().max())
    assert float((copy - weight).detach().std()) == pytest.approx(0.1 * top, rel=0.05)
    copy.sum().backward()
    assert torch.equal(weight.grad, torch.ones_like(weight))


def test_channel_scale_uses_the_largest_weight_of_each_output():
    weight = torch.stack([torch.full((2000,), 0.01), torch.full((2000,), 1.0)])
    copy = noise.written(weight, 0.1, Recipe(scale="channel"), torch.Generator().manual_seed(0))
    assert (copy - weight).std(1).tolist() == pytest.approx([0.001, 0.1], rel=0.1)


def test_state_dependent_noise_is_larger_for_middle_conductances():
    weight = torch.cat([torch.full((4000,), 0.5), torch.full((4000,), 0.1), torch.ones(1)])
    generator = torch.Generator().manual_seed(0)
    stray = noise.written(weight, 0.1, Recipe(), generator, "evaxb-rram4") - weight
    assert float(stray[:4000].std() / stray[4000:8000].std()) == pytest.approx(4, rel=0.05)


def test_clipping_and_weight_bits_shape_what_is_written():
    weight = torch.tensor([-3.0, -0.2, 0.0, 0.1, 0.5, 4.0])
    clipped = noise.intended(weight, Recipe(clip_rms=1.0))
    assert float(clipped.abs().max()) == pytest.approx(float(weight.square().mean().sqrt()))
    rounded = noise.intended(weight, Recipe(weight_bits=3))
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
        logits[levels] = chip.logits(split.test_images, list(network.weights), chip.affines)
    fine = (logits[65536] - logits[None]).abs().mean()
    coarse = (logits[4] - logits[None]).abs().mean()
    assert fine < 0.01 < coarse


def test_calibration_finds_a_range_well_below_the_worst_case():
    sums = torch.randn(10_000, generator=torch.Generator().manual_seed(0))
    sums[0] = 100.0
    full_scale = quantise.calibrated_full_scale([sums], levels=16)
    assert full_scale < 50
    assert len(torch.unique(quantise.adc(sums, 16, 3.0))) == 16


def test_recalibration_repairs_batch_norm_and_leaves_the_network_as_it_was(split):
    asked = query(recipe={"recalibrate_batchnorm": True})
    network = trained_like(asked, split)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    chip = Chip(network, asked, split)
    shifted = [weight * 3 for weight in network.weights]
    affines = chip._recalibrated(shifted)
    values = product(split.train_images, shifted[0])
    scale, shift = affines[0]
    normed = values * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)
    torch.testing.assert_close(normed.mean((0, 2, 3)), network.norms[0].bias, rtol=1e-3, atol=1e-3)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not network.training
