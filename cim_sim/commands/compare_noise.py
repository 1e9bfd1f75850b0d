"""The verb `compare-noise`: our weight noise beside that of IBM's aihwkit-lightning."""

from typing import TYPE_CHECKING, Any, Literal

from cim_sim import cli
from cim_sim.config import UsageError

if TYPE_CHECKING:
    from torch import Tensor

OUTPUTS, INPUTS = 32, 96
LARGEST_GAP = 0.01
"""Relative difference of the standard deviations beyond which the two do not agree."""
LEAST_P = 1e-3
"""Of the Kolmogorov-Smirnov test between the two samples of noise."""


def compare_noise(*, sigma: float = 0.1, draws: cli.Count = 200, seed: cli.Natural = 0) -> int:
    """Write one layer many times with both libraries and compare the noise on its weights.

    Needs `pip install aihwkit-lightning`. Standard deviations are relative to sigma times the
    largest weight, of the layer or of each output channel; 1 is what both libraries mean.

    Args:
        sigma: variation relative to max|w|.
        draws: number of programmed copies.
        seed: seed of weights and noise.
    """
    import torch

    from cim_sim.accuracy.noise import largest, written
    from cim_sim.accuracy.query import Recipe

    if not 0 < sigma <= 1:
        raise UsageError(f"compare-noise: --sigma {sigma} is not above 0 and at most 1")
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn((OUTPUTS, INPUTS), generator=generator) * 0.1
    agree, figures = True, {}
    print("scale     std, ours   std, theirs   KS p     noise has no gradient")
    for scale in ("layer", "channel"):
        recipe = Recipe(scale=scale)
        unit = sigma * largest(weight, recipe)
        ours = torch.stack([written(weight, sigma, recipe, generator) for _ in range(draws)])
        theirs, constant = _theirs(weight, sigma, draws, recipe.scale, seed)
        noise = figures[scale] = _compared((ours - weight) / unit, (theirs - weight) / unit)
        std, their_std, p = noise["std"], noise["their_std"], noise["ks_p"]
        print(f"{scale:9s} {std:9.4f}   {their_std:11.4f}   {p:.3f}    {constant}")
        agree &= abs(std - their_std) <= LARGEST_GAP and p >= LEAST_P and constant
    cli.emit(agree=agree, sigma=sigma, draws=draws, **figures)
    return 0 if agree else cli.EXIT_FAILED


def _compared(ours: "Tensor", theirs: "Tensor") -> dict[str, float]:
    from scipy.stats import ks_2samp

    left, right = ours.flatten().double().numpy(), theirs.flatten().double().numpy()
    return {
        "std": float(left.std()),
        "their_std": float(right.std()),
        "mean": float(left.mean()),
        "their_mean": float(right.mean()),
        "ks_p": float(ks_2samp(left, right).pvalue),
    }


def _theirs(
    weight: "Tensor", sigma: float, draws: int, scale: Literal["layer", "channel"], seed: int
) -> "tuple[Tensor, bool]":
    """Copies read through an identity input; and whether their noise has no gradient."""
    import torch

    layer = _analogue_layer(weight, sigma, scale)
    torch.manual_seed(seed + 1)  # the two samples must not share a stream
    identity = torch.eye(INPUTS)
    outputs = [layer(identity).T for _ in range(draws)]
    outputs[0].sum().backward()
    constant = bool(torch.equal(layer.weight.grad, torch.ones_like(weight)))
    return torch.stack([output.detach() for output in outputs]), constant


def _analogue_layer(weight: "Tensor", sigma: float, scale: Literal["layer", "channel"]) -> Any:
    import torch
    from aihwkit_lightning.nn import AnalogLinear
    from aihwkit_lightning.simulator.configs import (
        TorchInferenceRPUConfig,
        WeightNoiseInjectionType,
    )

    kinds = {
        "layer": WeightNoiseInjectionType.ADD_NORMAL,
        "channel": WeightNoiseInjectionType.ADD_NORMAL_PER_CHANNEL,
    }
    config = TorchInferenceRPUConfig()
    config.modifier.noise_type, config.modifier.std_dev = kinds[scale], sigma
    layer = AnalogLinear(INPUTS, OUTPUTS, bias=False, rpu_config=config).train()
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer
