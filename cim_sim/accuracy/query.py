"""What accuracy depends on (the whole cache key) and what a measurement returns."""

from typing import Annotated, Literal

from pydantic import Field

from cim_sim.config import Config, digest
from cim_sim.space import ConvChoice
from cim_sim.variation import StateDependence

Sigma = Annotated[float, Field(ge=0, le=1)]

NULL_IN_OLD_KEYS = ("clip_rms", "weight_bits", "activation_bits")
"""Settings of the recipe that stand in the training keys of the published table even if None."""


class Recipe(Config):
    """How a proxy network is trained and then tested under variation.

    Defaults: the prototype's recipe for 16x16 images on one CPU thread.
    """

    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=1)] = 128
    learning_rate: Annotated[float, Field(gt=0)] = 4e-3
    """Peak of the one-cycle schedule (20 % warm-up), AdamW."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.05
    draws: Annotated[int, Field(ge=2)] = 16
    """Monte Carlo draws of device variation."""
    scale: Literal["layer", "channel"] = "layer"
    """Whether one weight unit w_max belongs to a layer or to each output channel."""
    clip_rms: Annotated[float, Field(gt=0)] | None = None
    """Clip weights at this multiple of their root mean square; None leaves them."""
    recalibrate_batchnorm: bool = False
    """Re-estimate batch-norm statistics after each draw (needs a calibration pass on chip)."""
    weight_bits: Annotated[int, Field(ge=2, le=16)] | None = None
    """Quantise weights in training and test (LCDA trains at 5); None keeps full precision."""
    activation_bits: Annotated[int, Field(ge=2, le=16)] | None = None


class Adc(Config):
    """Quantisation of the partial sums: one conversion for each group of `rows` word lines."""

    levels: int
    rows: int


class Query(Config):
    """One accuracy question. Nothing else enters, so equal queries share one cached answer."""

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
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def key(self) -> str:
        """Digest under which the answer is cached."""
        return digest(self)

    @property
    def training_key(self) -> str:
        """Digest of what training alone depends on: queries that share it share one network.

        A field that is None is left out, so that a later one whose default is None changes no key.
        """
        test_only = {"sigma", "state_dependence", "adc"}
        training = self.model_dump(mode="json", exclude=test_only, exclude_none=True)
        recipe = dict.fromkeys(NULL_IN_OLD_KEYS) | training["recipe"]
        for setting in ("draws", "recalibrate_batchnorm"):
            del recipe[setting]
        return digest({**training, "recipe": recipe})


class Accuracy(Config):
    """Accuracy over Monte Carlo draws of device variation; all shares in [0, 1]."""

    mean: float
    std: float
    """Standard deviation over draws."""
    quantile_10: float
    """A tenth of the devices are worse than this."""
    draws: int
    clean: float | None
    """Without variation; None from a surrogate."""
    predictive_std: float | None = None
    """Surrogates only: standard deviation of a new single-seed result around `mean`."""

    @property
    def standard_error(self) -> float:
        """Standard error of `mean` from the finite number of draws."""
        return float(self.std / self.draws**0.5)
