"""What is fixed during a search: workload, variation, hardware, objective, limits."""

from typing import Annotated, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cim_sim.accuracy.query import Accuracy, Adc, Images, Query, Recipe, Sigma
from cim_sim.config import Config, UsageError, digest
from cim_sim.hardware import FREEABLE, FixedHardware, Hardware
from cim_sim.space import ConvChoice, Design, Space
from cim_sim.variation import Variation
from cim_sim.workload import Workload

Positive = Annotated[float, Field(gt=0)]

Number = TypeVar("Number", float, NDArray[np.float64])
"""Of one design or of many at once."""


class EnergyObjective(Config):
    """Reward (1) of the paper: accuracy - sqrt(energy / normaliser)."""

    metric: Literal["energy"]
    normaliser_pj: Positive = 8e7

    def reward(self, accuracy: Number, energy_pj: Number, latency_ns: Number) -> Number:
        """Higher is better."""
        price: Number = (energy_pj / self.normaliser_pj) ** 0.5
        return accuracy - price


class LatencyObjective(Config):
    """Reward (2) of the paper: accuracy + frames per second / normaliser."""

    metric: Literal["latency"]
    normaliser_fps: Positive = 1600.0

    def reward(self, accuracy: Number, energy_pj: Number, latency_ns: Number) -> Number:
        """Higher is better."""
        return accuracy + 1e9 / latency_ns / self.normaliser_fps


class Limits(Config):
    """What a design must keep to be feasible; None: no limit."""

    area_um2: Positive | None = None
    accuracy: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Smallest accuracy under variation, decided on the evaluator's mean."""


class Scenario(Config):
    """One fixed problem; its digest identifies it."""

    name: str
    workload: Workload = Workload()
    hardware: FixedHardware
    variation: Variation
    recipe: Recipe = Recipe()
    training_sigma: Literal["matched"] | Sigma = "matched"
    """`matched`: train at the sigma that is tested, the paper's pipeline."""
    objective: EnergyObjective | LatencyObjective = Field(discriminator="metric")
    limits: Limits = Limits()

    @property
    def digest(self) -> str:
        """Identity: digest of everything but the name."""
        return digest(self.model_dump(mode="json", exclude_none=True, exclude={"name"}))

    def require_fits(self, space: Space) -> None:
        """Raise UsageError unless each hardware field is fixed here or freed by `space`."""
        fixed = self.hardware.model_dump(exclude_none=True)
        twice = [name for name in FREEABLE if name in fixed and name in space.freed]
        absent = [name for name in FREEABLE if name not in fixed and name not in space.freed]
        faults = [f"hardware.{name} is fixed by the one and freed by the other" for name in twice]
        faults += [f"hardware.{name} is neither fixed nor freed" for name in absent]
        if max(self.workload.pools_after, default=0) > space.layers:
            pools = list(self.workload.pools_after)
            faults.append(f"workload.pools_after {pools} names more than {space.layers} layers")
        if faults:
            raise UsageError(f"scenario {self.name} and space {space.name}: " + "; ".join(faults))

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

    def reward(self, accuracy: Accuracy, energy_pj: float, latency_ns: float) -> float:
        """Reward of a feasible design."""
        return self.objective.reward(accuracy.mean, energy_pj, latency_ns)
