"""Uniform quantisers: weights, activations, and the ADC behind the partial sums."""

from collections.abc import Sequence

import torch
from torch import Tensor

SHRINK = tuple(step / 20 for step in range(2, 21))
"""Fractions of the largest partial sum that are tried as the ADC's full scale."""

SAMPLES = 50_000


def weights(values: Tensor, bits: int) -> Tensor:
    """Round to the signed `bits`-bit grid of step w_max / (2^(bits-1) - 1), straight through."""
    top = 2 ** (bits - 1) - 1
    step = float(values.detach().abs().amax()) / top or 1.0
    return torch.fake_quantize_per_tensor_affine(values, step, 0, -top - 1, top)


def activations(values: Tensor, bits: int, full_scale: float) -> Tensor:
    """Round non-negative activations to `bits` bits over [0, full_scale], straight through."""
    top = 2**bits - 1
    return torch.fake_quantize_per_tensor_affine(values, full_scale / top or 1.0, 0, 0, top)


def adc_step(levels: int, full_scale: float) -> float:
    """Distance of neighbouring output codes over [-full_scale, full_scale]."""
    return 2 * full_scale / levels or 1.0


def adc_codes(partial_sums: Tensor, levels: int) -> Tensor:
    """Turn signed partial sums in steps of the ADC into its `levels` output codes, in place."""
    return partial_sums.round_().clamp_(-(levels // 2), levels - levels // 2 - 1)


def calibrated_full_scale(partial_sums: Sequence[Tensor], levels: int) -> float:
    """Full scale with the least squared conversion error on sample partial sums.

    The worst case (all word lines on) as full scale wastes nearly every code.
    """
    every = torch.cat([part.flatten() for part in partial_sums])
    sample = every[:: max(1, len(every) // SAMPLES)]
    top = float(every.abs().amax())
    errors = [_conversion_error(sample, levels, top * share) for share in SHRINK]
    return top * SHRINK[errors.index(min(errors))]


def _conversion_error(sample: Tensor, levels: int, full_scale: float) -> float:
    step = adc_step(levels, full_scale)
    return float((adc_codes(sample / step, levels) * step - sample).square().sum())
