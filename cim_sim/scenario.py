"""What is fixed during a search: workload, variation, hardware, objective, limits."""

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, Protocol, Self, TypeVar

import numpy as np
from pydantic import Field

from cim_sim.accuracy.query import Adc, Images, Query, Recipe, Sigma
from cim_sim.config import Config, UsageError, digest
from cim_sim.hardware import FREEABLE, FixedHardware, Hardware, cell_bits_of
from cim_sim.space import ConvChoice, Design, Space
from cim_sim.types import Floats, Name
from cim_sim.variation import Variation
from cim_sim.workload import Workload

Positive = Annotated[float, Field(gt=0)]
Normaliser = Annotated[float, Field(ge=1e-3, le=1e30)]
"""Within these a reward is a finite number, whatever the chip."""

Number = TypeVar("Number", float, Floats)
"""Of one design or of many at once."""
Number_co = TypeVar("Number_co", float, Floats, covariant=True)


class Priced(Protocol[Number_co]):
    """What a reward may depend on beside accuracy; NaN where there is no floorplan."""

    @property
    def energy_pj(self) -> Number_co:
        """Dynamic and leakage energy of one inference."""

    @property
    def latency_ns(self) -> Number_co:
        """Time of one inference."""


class EnergyObjective(Config):
    """Reward (1) of the paper: accuracy - sqrt(energy / normaliser)."""

    metric: Literal["energy"]
    normaliser_pj: Normaliser = 8e7

    needs_accuracy_limit: ClassVar[bool] = False
    """Whether without a least accuracy the cheapest network wins, at chance accuracy."""

    def reward(self, accuracy: Number, cost: Priced[Number]) -> Number:
        """Return the reward, without unit and higher for better, of one design or of each."""
        term: Number = (cost.energy_pj / self.normaliser_pj) ** 0.5
        return accuracy - term

    def words(self) -> str:
        """Return the formula as a prompt tells it."""
        return f"accuracy - sqrt(energy / {self.normaliser_pj / 1e6:.4g} uJ)"

    @classmethod
    def with_median_term(
        cls, cost: Priced[Floats], term: float, rounded: Callable[[float], float]
    ) -> Self:
        """Return the objective whose cost term has the median `term` over designs of `cost`."""
        root_pj = float(np.nanmedian(np.sqrt(cost.energy_pj)))
        return cls(metric="energy", normaliser_pj=rounded((root_pj / term) ** 2))


class LatencyObjective(Config):
    """Reward (2) of the paper: accuracy + frames per second / normaliser."""

    metric: Literal["latency"]
    normaliser_fps: Normaliser = 1600.0

    needs_accuracy_limit: ClassVar[bool] = True

    def reward(self, accuracy: Number, cost: Priced[Number]) -> Number:
        """As `EnergyObjective.reward`."""
        return accuracy + 1e9 / cost.latency_ns / self.normaliser_fps

    def words(self) -> str:
        """As `EnergyObjective.words`."""
        return f"accuracy + (frames per second) / {self.normaliser_fps:.4g}"

    @classmethod
    def with_median_term(
        cls, cost: Priced[Floats], term: float, rounded: Callable[[float], float]
    ) -> Self:
        """As `EnergyObjective.with_median_term`."""
        frames_per_second = 1e9 / float(np.nanmedian(cost.latency_ns))
        return cls(metric="latency", normaliser_fps=rounded(frames_per_second / term))


class DelayObjective(Config):
    """Accuracy less the root of the energy-delay product; not in the paper."""

    metric: Literal["energy-delay"]
    normaliser_pj_ns: Normaliser = 1e14

    needs_accuracy_limit: ClassVar[bool] = False

    def reward(self, accuracy: Number, cost: Priced[Number]) -> Number:
        """As `EnergyObjective.reward`."""
        term: Number = (cost.energy_pj * cost.latency_ns / self.normaliser_pj_ns) ** 0.5
        return accuracy - term

    def words(self) -> str:
        """As `EnergyObjective.words`."""
        return f"accuracy - sqrt(energy x latency / {self.normaliser_pj_ns / 1e12:.4g} uJ ms)"

    @classmethod
    def with_median_term(
        cls, cost: Priced[Floats], term: float, rounded: Callable[[float], float]
    ) -> Self:
        """As `EnergyObjective.with_median_term`."""
        root = float(np.nanmedian(np.sqrt(cost.energy_pj * cost.latency_ns)))
        return cls(metric="energy-delay", normaliser_pj_ns=rounded((root / term) ** 2))


Objective = EnergyObjective | LatencyObjective | DelayObjective
OBJECTIVES: tuple[type[Objective], ...] = (EnergyObjective, LatencyObjective, DelayObjective)

ACCURACY_MARGIN = 0.05
"""How far above a least accuracy an evaluation must lie, so that re-trainings keep it.

About what a prediction errs by and a little more than seeds differ by: with normal errors of
standard deviation s a winner right at the bar keeps the limit with probability Phi(.05 / s), .84
at s = .05 (a prediction). Of two trainings it is Phi(.05 / (s sqrt 2)), .81 at s = .04.
"""


class Limits(Config):
    """What a design must keep to be feasible; None: no limit."""

    area_um2: Positive | None = None
    accuracy: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Smallest accuracy under variation that a re-training shall have too."""

    @property
    def accuracy_bar(self) -> float:
        """What an evaluator's mean must reach: the least accuracy and its margin; 0: no limit.

        One number for every evaluator, so that a prompt can name it and a whole population is
        judged without the standard deviations that make a prediction several times dearer.
        """
        if self.accuracy is None:
            return 0.0
        return min(self.accuracy + ACCURACY_MARGIN, (self.accuracy + 1) / 2)

    def area_excess(self, area_um2: Number) -> Number:
        """Return by which share of the limit an area exceeds it; 0 or less: kept. NaN stays."""
        return area_um2 / (self.area_um2 or np.inf) - 1

    def accuracy_shortfall(self, accuracy: Number) -> Number:
        """Return how much an evaluator's mean is below the bar; 0 or less: the limit is kept."""
        return self.accuracy_bar - accuracy


class Scenario(Config):
    """One fixed problem; its digest identifies it."""

    name: Name
    workload: Workload = Workload()
    hardware: FixedHardware
    variation: Variation
    recipe: Recipe = Recipe()
    training_sigma: Literal["matched"] | Sigma = "matched"
    """`matched`: train at the sigma that is tested, the paper's pipeline."""
    objective: Objective = Field(discriminator="metric")
    limits: Limits = Limits()

    @property
    def digest(self) -> str:
        """Identity: digest of everything but the name."""
        return digest(self.model_dump(mode="json", exclude_none=True, exclude={"name"}))

    @property
    def metric(self) -> str:
        """What tables call the objective."""
        return self.objective.metric

    def require_fits(self, space: Space) -> None:
        """Raise UsageError unless each hardware field is fixed here or freed by `space`."""
        fixed = self.hardware.model_dump(exclude_none=True)
        twice = [name for name in FREEABLE if name in fixed and name in space.freed]
        absent = [name for name in FREEABLE if name not in fixed and name not in space.freed]
        faults = [f"hardware.{name} is fixed by the one and freed by the other" for name in twice]
        faults += [f"hardware.{name} is neither fixed nor freed" for name in absent]
        bits = space.hardware.cell_bits or tuple(filter(None, [self.hardware.cell_bits]))
        device = self.hardware.device
        if wrong := [str(one) for one in bits if one not in cell_bits_of(device)]:
            faults.append(f"hardware.cell_bits {', '.join(wrong)}: a cell of {device} holds 1 bit")
        strayed = [one for one in bits if self.variation.effective(one) > 1]
        if strayed:
            faults.append(
                f"variation.cell_sigma {self.variation.cell_sigma} makes more than 1 of a weight "
                f"in cells of {strayed[0]} bits: give a smaller one"
            )
        if max(self.workload.pools_after, default=0) > space.layers:
            pools = list(self.workload.pools_after)
            faults.append(f"workload.pools_after {pools} names more than {space.layers} layers")
        if faults:
            advice = "; is that its --space?" if absent else ""
            raise UsageError(
                f"scenario {self.name} and space {space.name}: {'; '.join(faults)}{advice}"
            )

    def complete(self, design: Design) -> Hardware:
        """Return the whole accelerator setting of a design."""
        return self.hardware.complete(design.hardware)

    def query(self, design: Design, space: Space, seed: int, images: Images = "selection") -> Query:
        """Return the accuracy question of a design: its proxy network under this variation.

        A search asks on the `selection` images; only re-training asks on those of the `exam`.
        """
        hardware = self.complete(design)
        sigma = self.variation.effective(hardware.cell_bits)
        proxy = tuple(ConvChoice(c // space.width_divisor, k) for c, k in design.layers)
        return Query(
            layers=proxy,
            dataset=self.workload.dataset,
            hidden=self.workload.hidden,
            pools_after=self.workload.pools_after,
            recipe=self.recipe,
            training_sigma=sigma if self.training_sigma == "matched" else self.training_sigma,
            sigma=sigma,
            state_dependence=self.variation.state_dependence,
            adc=Adc(levels=hardware.adc_levels, rows=hardware.subarray),
            images=images,
            seed=seed,
        )
