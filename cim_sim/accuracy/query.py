"""What accuracy depends on (the whole cache key) and what a measurement returns."""

from typing import Annotated, Literal

from pydantic import Field

from cim_sim.config import Config, digest
from cim_sim.space import ConvChoice
from cim_sim.types import Count, Share
from cim_sim.variation import StateDependence

Sigma = Annotated[float, Field(ge=0, le=1)]


class Recipe(Config):
    """How a proxy network is trained and then tested under variation.

    Defaults: the prototype's recipe for 16x16 images on one CPU thread.
    """

    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=2)] = 128
    learning_rate: Annotated[float, Field(gt=0)] = 4e-3
    """Peak of the one-cycle schedule (20 % warm-up), AdamW."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.05
    draws: Annotated[int, Field(ge=2)] = 16
    """Monte Carlo draws of device variation."""
    clip_rms: Annotated[float, Field(gt=0)] | None = 2.5
    """Clip the weights of a layer at this multiple of their root mean square (AIHWKit's
    `LAYER_GAUSSIAN`). w_max, the unit of all variation, is then no outlier's. None leaves them."""
    weight_bits: Annotated[int, Field(ge=2, le=16)] | None = None
    """Quantise weights in training and test (LCDA trains at 5); None keeps full precision."""
    activation_bits: Annotated[int, Field(ge=2, le=16)] | None = None


class Adc(Config):
    """Quantisation of the partial sums: one conversion for each group of `rows` word lines."""

    levels: int
    rows: int


Images = Literal["selection", "exam"]
"""Which images test a network: those that searches see, or those that none of them ever saw."""


class Query(Config):
    """One accuracy question. Nothing else enters, so equal queries share one cached answer.

    A field that is added later is optional, defaults to None and means by that what was done
    before: None is left out of both digests, so that old answers keep their keys.
    """

    layers: tuple[ConvChoice, ...]
    """(channels, kernel) of the network that is trained: already divided by `width_divisor`."""
    dataset: str
    hidden: Annotated[int, Field(ge=1)] = 1024
    """Width between the two fully connected layers."""
    pools_after: tuple[int, ...] = (2, 4, 6)
    """Convolutions (counted from 1) that a 2x2 max pool follows."""
    recipe: Recipe = Recipe()
    training_sigma: Sigma
    """Noise injected while training, relative to max|w|."""
    sigma: Sigma
    """Effective variation of a weight when tested, relative to max|w|."""
    state_dependence: StateDependence = "uniform"
    """How the variation depends on the programmed conductance; see `cim_sim.variation`."""
    adc: Adc | None = None
    """None: ideal conversion."""
    images: Images = "selection"
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def key(self) -> str:
        """Digest under which the answer is cached."""
        return digest(self)

    @property
    def training_key(self) -> str:
        """Digest of what training alone depends on: queries that share it share one network."""
        test_only = {"sigma", "state_dependence", "adc", "images"}
        training = self.model_dump(mode="json", exclude=test_only, exclude_none=True)
        del training["recipe"]["draws"]
        return digest(training)


class Accuracy(Config):
    """Accuracy over Monte Carlo draws of device variation; all shares in [0, 1]."""

    mean: Share
    std: Share
    """Standard deviation over draws."""
    quantile_10: Share
    """A tenth of the devices are worse than this."""
    draws: Count
    clean: Share | None
    """Without variation; None from a surrogate."""
    predictive_std: Annotated[float, Field(ge=0)] | None = None
    """Surrogates only: standard deviation of a new single-seed result around `mean`."""

    @property
    def standard_error(self) -> float:
        """Standard error of `mean` from the finite number of draws."""
        return float(self.std / self.draws**0.5)
