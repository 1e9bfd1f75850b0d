"""Accuracy of a trained network over random chips: a plain loop over Monte Carlo draws."""

from collections.abc import Iterator, Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional

from cim_sim.accuracy import noise, quantise
from cim_sim.accuracy.images import Examples, Split
from cim_sim.accuracy.network import Network, product
from cim_sim.accuracy.query import Accuracy, Adc, Query
from cim_sim.accuracy.training import stream

BATCH = 125
"""Test images at a time: small enough to stay in a core's cache."""
CALIBRATION = 250
"""Training images on which ADC ranges are found."""


def test(network: Network, query: Query, split: Split) -> Accuracy:
    """Measure `query` on its trained network, batch norm frozen."""
    meant = [noise.intended(weight, query.recipe) for weight in network.weights]
    chip = Chip(network, query, split)
    clean = chip.accuracy(meant)
    if query.sigma == 0:
        return _summary([clean] * query.recipe.draws, clean)
    generator = stream(query.key, "test")
    shares = [
        chip.accuracy(
            [noise.written(w, query.sigma, generator, query.state_dependence) for w in meant]
        )
        for _ in range(query.recipe.draws)
    ]
    return _summary(shares, clean)


def _summary(shares: Sequence[float], clean: float) -> Accuracy:
    values = torch.tensor(shares, dtype=torch.float64)
    return Accuracy(
        mean=float(values.mean()),
        std=float(values.std()),
        quantile_10=float(values.quantile(0.1)),
        draws=len(shares),
        clean=clean,
    )


class Chip:
    """How a trained network runs on hardware: given written weights, the share it gets right."""

    def __init__(self, network: Network, query: Query, split: Split) -> None:
        """Freeze batch norm and, with an ADC, calibrate its range layer by layer."""
        self.network = network
        self.tests: Examples = getattr(split, query.images)
        self.adc, self.recipe = query.adc, query.recipe
        self.affines = network.affines()
        self.full_scales: list[float] = []
        if self.adc:
            meant = [noise.intended(weight, self.recipe) for weight in network.weights]
            self.logits(split.train.images[:CALIBRATION], meant, calibrate=True)

    def accuracy(self, weights: Sequence[Tensor]) -> float:
        """Share of the test images that these weights classify correctly."""
        with torch.inference_mode():
            tests = zip(*(part.split(BATCH) for part in self.tests), strict=True)
            right = sum(
                int((self.logits(images, weights).argmax(1) == labels).sum())
                for images, labels in tests
            )
        return right / len(self.tests.images)

    def logits(
        self,
        images: Tensor,
        weights: Sequence[Tensor],
        calibrate: bool = False,
    ) -> Tensor:
        """Logits with batch norm folded into each product, or applied after the ADC's sum."""
        bits, values = self.recipe.activation_bits, images
        for index, (weight, (scale, shift)) in enumerate(zip(weights, self.affines, strict=True)):
            if self.adc:
                values = self._converted(values, weight, index, self.adc, calibrate)
                shape = (1, -1, 1, 1)[: values.dim()]
                values = values * scale.view(shape) + shift.view(shape)
            else:
                values = product(values, weight * scale.view(-1, *[1] * (weight.dim() - 1)), shift)
            if index + 1 in self.network.pools_after:
                values = functional.max_pool2d(values, 2)
            if index + 1 < len(weights):
                values = values.relu_()
                if bits:
                    values = quantise.activations(values, bits, float(self.network.ranges[index]))
        return values

    def _converted(
        self, values: Tensor, weight: Tensor, index: int, adc: Adc, calibrate: bool
    ) -> Tensor:
        """The product as a sum of converted partial sums, each over `adc.rows` word lines."""
        if calibrate:
            sums = list(partial_sums(values, weight, adc.rows))
            self.full_scales.append(quantise.calibrated_full_scale(sums, adc.levels))
        step = quantise.adc_step(adc.levels, self.full_scales[index])
        return converted(values, weight, adc.rows, adc.levels, step)


def converted(values: Tensor, weight: Tensor, rows: int, levels: int, step: float) -> Tensor:
    """The product as a digital sum of ADC codes, one for each group of `rows` word lines."""
    sums_in_steps = partial_sums(values, weight / step, rows)
    codes = (quantise.adc_codes(part, levels) for part in sums_in_steps)
    return reduce(Tensor.add_, codes) * step


def partial_sums(values: Tensor, weight: Tensor, rows: int) -> Iterator[Tensor]:
    """Analogue sums of each group of `rows` word lines, shaped as the layer's product.

    Word lines are the unrolled inputs: channel, then kernel row and column. A group is computed
    as the same product over the channels it touches, with the weights of other groups at zero.
    """
    taps = weight[0, 0].numel()
    flat = weight.flatten(1)
    values = values if weight.dim() == 4 else values.flatten(1)
    for start in range(0, flat.shape[1], rows):
        stop = min(start + rows, flat.shape[1])
        first, last = start // taps, -(-stop // taps)
        part = functional.pad(flat[:, start:stop], (start - first * taps, last * taps - stop))
        part = part.unflatten(1, (last - first, *weight.shape[2:]))
        yield product(values[:, first:last], part)
