"""The verb `compare-noise`: our noise, clipping and ADC beside those of IBM's aihwkit-lightning."""

from typing import TYPE_CHECKING, Any

from cim_sim import cli
from cim_sim.config import UsageError

if TYPE_CHECKING:
    from torch import Tensor

OUTPUTS, INPUTS, ROWS = 32, 96, 32
LEVELS = 32
LARGEST_GAP = 0.01
"""Relative difference of standard deviations and of limits beyond which the two do not agree."""
LEAST_P = 1e-3
"""Of the Kolmogorov-Smirnov test between the two samples of noise."""
LEAST_EQUAL = 0.999
"""Share of converted outputs that must be equal; a sum on the edge of two codes may round."""


def compare_noise(*, sigma: float = 0.1, draws: cli.Count = 200, seed: cli.Natural = 0) -> int:
    """Compare noise, weight clipping and ADC of one layer in this simulator and in another.

    Needs `pip install aihwkit-lightning`. Noise is given relative to sigma times the largest
    weight, so 1 is what both libraries mean; the limit of clipping in standard deviations of the
    weights; the ADC as the share of outputs that both convert to the same number.

    Args:
        sigma: variation relative to max|w|.
        draws: number of programmed copies.
        seed: seed of weights, inputs and noise.
    """
    import torch

    if not 0 < sigma <= 1:
        raise UsageError(f"compare-noise: --sigma {sigma} is not above 0 and at most 1")
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn((OUTPUTS, INPUTS), generator=generator) * 0.1
    noise = _noise(weight, sigma, draws, generator, seed)
    clipping = _clipping(weight)
    conversion = _conversion(weight, torch.rand((500, INPUTS), generator=generator))
    print("          ours      theirs")
    print(f"noise     {noise['std']:.4f}    {noise['their_std']:.4f}   KS p {noise['ks_p']:.3f}")
    print(f"clipping  {clipping['limit']:.4f}    {clipping['their_limit']:.4f}")
    print(f"adc       {conversion['equal']:.2%} of the outputs are equal, {LEVELS} levels")
    agree = (
        abs(noise["std"] - noise["their_std"]) <= LARGEST_GAP
        and noise["ks_p"] >= LEAST_P
        and noise["gradient_passes"] == 1
        and abs(clipping["limit"] / clipping["their_limit"] - 1) <= LARGEST_GAP
        and conversion["equal"] >= LEAST_EQUAL
    )
    cli.emit(agree=agree, sigma=sigma, draws=draws, noise=noise, clipping=clipping, adc=conversion)
    return 0 if agree else cli.EXIT_FAILED


def _noise(
    weight: "Tensor", sigma: float, draws: int, generator: Any, seed: int
) -> dict[str, float]:
    """Compare the noise on programmed weights, in units of sigma max|w|."""
    import torch
    from scipy.stats import ks_2samp

    from cim_sim.accuracy.noise import largest, written

    ours = torch.stack([written(weight, sigma, generator) for _ in range(draws)])
    torch.manual_seed(seed + 1)  # the two samples must not share a stream
    theirs, gradient = _their_copies(weight, sigma, draws)
    left, right = (((one - weight) / (sigma * largest(weight))).flatten() for one in (ours, theirs))
    return {
        "std": float(left.std()),
        "their_std": float(right.std()),
        "mean": float(left.mean()),
        "their_mean": float(right.mean()),
        "ks_p": float(ks_2samp(left.double().numpy(), right.double().numpy()).pvalue),
        "gradient_passes": float(gradient),
    }


def _their_copies(weight: "Tensor", sigma: float, draws: int) -> "tuple[Tensor, bool]":
    """Noisy copies [draws, outputs, inputs] read through an identity; whether gradients pass."""
    import torch
    from aihwkit_lightning.simulator.configs import WeightNoiseInjectionType

    config = _their_config()
    config.modifier.noise_type = WeightNoiseInjectionType.ADD_NORMAL
    config.modifier.std_dev = sigma
    layer = _their_layer(weight, config).train()
    identity = torch.eye(INPUTS)
    outputs = [layer(identity).T for _ in range(draws)]
    outputs[0].sum().backward()
    gradient = bool(torch.equal(layer.weight.grad, torch.ones_like(weight)))
    return torch.stack([one.detach() for one in outputs]), gradient


def _clipping(weight: "Tensor") -> dict[str, float]:
    """Compare the limit of clipped weights, in standard deviations of the weights."""
    from aihwkit_lightning.simulator.configs import WeightClipType

    from cim_sim.accuracy.noise import intended, largest
    from cim_sim.accuracy.query import Recipe

    recipe, config = Recipe(), _their_config()
    assert recipe.clip_rms is not None
    config.clip.type, config.clip.sigma = WeightClipType.LAYER_GAUSSIAN, recipe.clip_rms
    layer = _their_layer(weight, config)
    layer.clip_weights()
    limits = largest(intended(weight, recipe)), largest(layer.weight.detach())
    ours, theirs = (float(one / weight.std()) for one in limits)
    return {"limit": ours, "their_limit": theirs}


def _conversion(weight: "Tensor", values: "Tensor") -> dict[str, float]:
    """Compare the converted product of `values` [N, inputs], over a range that clips no sum."""
    import torch

    from cim_sim.accuracy import quantise
    from cim_sim.accuracy.montecarlo import converted, partial_sums

    # Their range follows the largest weight of each tile, so all tiles are given the same.
    weight = weight.clone()
    weight[0, ::ROWS] = weight.abs().max()
    full_scale = 1.1 * max(float(one.abs().max()) for one in partial_sums(values, weight, ROWS))
    step = quantise.adc_step(LEVELS, full_scale)
    config = _their_config()
    config.mapping.max_input_size = ROWS
    config.pre_post.input_range.enable = True
    config.forward.out_res = LEVELS
    config.forward.out_bound = full_scale / float(weight.abs().max())
    layer = _their_layer(weight, config).eval()
    layer.input_range.data.fill_(1.0)
    with torch.no_grad():
        ours, theirs = converted(values, weight, ROWS, LEVELS, step), layer(values)
    return {"equal": float(((ours - theirs).abs() < step / 2).float().mean())}


def _their_config() -> Any:
    try:
        from aihwkit_lightning.simulator.configs import TorchInferenceRPUConfig
    except ImportError as error:
        raise UsageError(f"compare-noise: {error}; pip install aihwkit-lightning") from None
    return TorchInferenceRPUConfig()


def _their_layer(weight: "Tensor", config: Any) -> Any:
    """Their fully connected layer, holding our weights."""
    import torch
    from aihwkit_lightning.nn import AnalogLinear

    layer = AnalogLinear(INPUTS, OUTPUTS, bias=False, rpu_config=config)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer
