"""The network as the hardware sees it: a stack of layers."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from cim_sim.config import Config, UsageError
from cim_sim.image_sets import ImageSet, image_set, known
from cim_sim.space import Design
from cim_sim.types import Count, Ints


@dataclass(frozen=True)
class Stack:
    """Shapes of a batch of networks with equally many layers; every array is [designs, layers].

    A fully connected layer is a convolution with `side` 1 and `kernel` 1.
    """

    side: Ints
    """Height and width of the (unpadded) square input map."""
    in_channels: Ints
    kernel: Ints
    out_channels: Ints
    pooled: Ints
    """1 where a 2x2 max pool follows, else 0."""

    def __len__(self) -> int:
        """Return the number of designs."""
        return len(self.side)

    def __getitem__(self, rows: slice | Ints) -> "Stack":
        """Return a batch with the chosen designs."""
        return Stack(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def weights(self) -> Ints:
        """Number of weights of each layer."""
        return self.in_channels * self.kernel**2 * self.out_channels


class Workload(Config):
    """Image, dataset and backbone: six convolutions, pools after 2, 4 and 6, two FC layers."""

    dataset: Annotated[str, AfterValidator(known)] = "shapes"
    """What accuracy is measured on, and whose images are costed: a name of `IMAGE_SETS`."""
    hidden: Annotated[int, Field(ge=1, le=65536)] = 1024
    """Width between the two fully connected layers (LCDA, section IV)."""
    pools_after: tuple[Count, ...] = (2, 4, 6)

    @model_validator(mode="after")
    def _pools_fit(self) -> "Workload":
        side, halvings = image_set(self.dataset).side, len(self.pools_after)
        if list(self.pools_after) != sorted(set(self.pools_after)):
            raise ValueError(f"pools_after must increase without repeats: {self.pools_after}")
        if side % 2**halvings:
            raise ValueError(
                f"pools_after: images of {self.dataset}, {side}x{side}, cannot be halved "
                f"{halvings} times"
            )
        return self

    @property
    def image(self) -> ImageSet:
        """Shape of the images, and their classes."""
        return image_set(self.dataset)

    def stack(self, designs: Sequence[Design]) -> Stack:
        """Return the layer shapes of designs with equally many layers.

        Raises:
            UsageError: they have none, or fewer than `pools_after` names.
        """
        depth, least = len(designs[0].layers), max(self.pools_after, default=1)
        if depth < least:
            raise UsageError(
                f"a design of {depth} convolutions; a workload with pools_after "
                f"{list(self.pools_after)} takes {least} or more"
            )
        pairs = np.array([design.layers for design in designs], dtype=np.int64)
        return self.stack_of(pairs[:, :, 0], pairs[:, :, 1])

    def stack_of(self, channels: Ints, kernels: Ints) -> Stack:
        """Return the layer shapes for `channels` and `kernels`, both [designs, convolutions]."""
        (count, depth), image = channels.shape, self.image
        pooled = np.array([layer + 1 in self.pools_after for layer in range(depth)], dtype=np.int64)
        halvings = np.concatenate([[0], np.cumsum(pooled)])
        side = image.side // 2**halvings
        features = channels[:, -1:] * side[-1] ** 2
        one = np.ones((count, 1), dtype=np.int64)
        return Stack(
            side=np.hstack([np.tile(side[:-1], (count, 1)), one, one]),
            in_channels=np.hstack(
                [image.channels * one, channels[:, :-1], features, self.hidden * one]
            ),
            kernel=np.hstack([kernels, one, one]),
            out_channels=np.hstack([channels, self.hidden * one, image.classes * one]),
            pooled=np.hstack([np.tile(pooled, (count, 1)), 0 * one, 0 * one]),
        )


CIFAR10 = Workload(dataset="cifar10")
"""The images of LCDA and of NeuroSim's own example: 3x32x32."""
