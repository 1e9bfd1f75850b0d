"""The network under test: convolutions with batch norm, then two fully connected layers."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from cim_sim.accuracy import quantise
from cim_sim.space import ConvChoice

RANGE_DECAY = 0.9
"""Memory of the running largest activation that fixes the range of quantised activations."""


class Network(nn.Module):  # type: ignore[misc]
    """LCDA's backbone (section IV): conv-BN-ReLU each, pools, FC-BN-ReLU, FC.

    The weights that sit in crossbars are apart from all else, `weights`: convolutions
    [out, in, k, k], then the two fully connected layers [out, in]. Every forward pass names the
    weights it uses, so that noise touches these and only these.
    """

    ranges: Tensor

    def __init__(
        self,
        layers: Sequence[ConvChoice],
        image: torch.Size,
        *,
        classes: int,
        hidden: int,
        pools_after: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        """Initialise as PyTorch does (uniform, bound 1/sqrt(fan in)); `image` is [C, S, S]."""
        super().__init__()
        channels = [image[0], *(layer.channels for layer in layers)]
        side = image[1] // 2 ** len(pools_after)
        convolutions = [
            (out, into, layer.kernel, layer.kernel)
            for (into, out), layer in zip(pairwise(channels), layers, strict=True)
        ]
        shapes = [*convolutions, (hidden, channels[-1] * side**2), (classes, hidden)]
        self.weights = nn.ParameterList(_uniform(shape, generator) for shape in shapes)
        norms: list[nn.Module] = [nn.BatchNorm2d(layer.channels) for layer in layers]
        self.norms = nn.ModuleList([*norms, nn.BatchNorm1d(hidden)])
        self.bias = nn.Parameter(torch.zeros(classes))
        self.register_buffer("ranges", torch.zeros(len(self.norms)))
        self.pools_after = frozenset(pools_after)

    def forward(
        self, images: Tensor, weights: Sequence[Tensor], activation_bits: int | None = None
    ) -> Tensor:
        """Logits [batch, classes] of `images` [batch, C, S, S]; batch norm as its mode says."""
        values = images
        for index, norm in enumerate(self.norms):
            values = self._activate(norm(product(values, weights[index])), index)
            if activation_bits:
                values = self._quantised(values, index, activation_bits)
        return functional.linear(values.flatten(1), weights[-1], self.bias)

    def _activate(self, values: Tensor, index: int) -> Tensor:
        # Max pool and ReLU commute; pooling first leaves ReLU a quarter of the work.
        if index + 1 in self.pools_after:
            values = functional.max_pool2d(values, 2)
        return functional.relu(values)

    def _quantised(self, values: Tensor, index: int, bits: int) -> Tensor:
        if self.training:
            top = values.detach().amax()
            known = self.ranges[index]
            self.ranges[index] = top if known == 0 else torch.lerp(top, known, RANGE_DECAY)
        return quantise.activations(values, bits, float(self.ranges[index]))

    def affines(self) -> list[tuple[Tensor, Tensor]]:
        """(scale, shift) per output channel that follow each layer's product, BN frozen."""
        pairs = []
        for norm in self.norms:
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            pairs.append((scale.detach(), (norm.bias - norm.running_mean * scale).detach()))
        return [*pairs, (torch.ones_like(self.bias), self.bias.detach())]


def product(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The analogue matrix product of one layer: `same` convolution or fully connected."""
    if weight.dim() == 2:
        return functional.linear(values.flatten(1), weight, bias)
    return functional.conv2d(values, weight, bias, padding=weight.shape[-1] // 2)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> nn.Parameter:
    fan_in = torch.Size(shape[1:]).numel()
    values = (torch.rand(shape, generator=generator) * 2 - 1) / fan_in**0.5
    if len(shape) == 4:
        values = values.contiguous(memory_format=torch.channels_last)
    return nn.Parameter(values)
