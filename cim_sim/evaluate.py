"""The public verbs: what a design costs and how accurate it is, in one scenario."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from cim_sim import cost
from cim_sim.accuracy.query import Accuracy, Query
from cim_sim.config import Config
from cim_sim.scenario import Scenario
from cim_sim.space import Design, Space

INFEASIBLE_REWARD = -1.0
"""The paper's reward of an invalid design; derived where a number is needed, never stored."""

AccuracySource = Callable[[Sequence[Query]], Sequence[Accuracy]]
"""Answers accuracy questions: by training, or by a surrogate."""

Amount = Annotated[float, Field(ge=0, le=1e30)]
LARGEST_REWARD = 1e20
"""Far from where sums of rewards, or their distances, are no numbers any more."""
Reward = Annotated[float, Field(ge=-LARGEST_REWARD, le=LARGEST_REWARD)]
AMOUNTS = ("energy_pj", "latency_ns", "area_um2")


class Infeasible(Config):
    """Why a design cannot be used in a scenario."""

    kind: Literal["floorplan", "area", "accuracy", "own"]
    """`own`: an evaluator of the user's own says so."""
    reason: str


class Cost(Config):
    """Hardware cost of one inference, and the chip's area."""

    dynamic_energy_pj: Amount
    leakage_energy_pj: Amount
    latency_ns: Amount
    area_um2: Amount
    utilisation: Amount
    """Share of the chip's memory cells that hold a weight."""

    @property
    def energy_pj(self) -> float:
        """Dynamic and leakage energy, as NeuroSim reports and the paper rewards."""
        return self.dynamic_energy_pj + self.leakage_energy_pj


class Evaluation(Config):
    """What is known of a design in a scenario: costs, accuracy, reward or why there is none."""

    design: Design
    scenario: str
    """Digest of the scenario."""
    cost: Cost | None = None
    """None when there is no floorplan."""
    accuracy: Accuracy | None = None
    """None when a free check already said infeasible, or it was not asked for."""
    reward: Reward | None = None
    infeasible: Infeasible | None = None
    measured: dict[str, float] = Field(default_factory=dict)
    """What else an evaluator of the user's own has measured, by name."""

    @property
    def amounts(self) -> dict[str, float]:
        """What is shown of the cost: energy, latency and area; nothing without a floorplan."""
        return {name: getattr(self.cost, name) for name in AMOUNTS} if self.cost else {}

    @property
    def score(self) -> float:
        """Reward, with the paper's -1 for an infeasible design."""
        return INFEASIBLE_REWARD if self.reward is None else self.reward


@dataclass(frozen=True)
class Evaluator:
    """Evaluates designs of `space` in `scenario`, cheap checks before dear ones."""

    scenario: Scenario
    space: Space
    accuracy: AccuracySource
    seed: int = 0
    """Seed of the accuracy experiment: a run's arms share it, a final re-training varies it."""

    def __post_init__(self) -> None:
        self.scenario.require_fits(self.space)

    def screen(self, designs: Sequence[Design]) -> list[Evaluation]:
        """Everything that is free: space, floorplan, area. Leaves accuracy and reward open.

        Raises:
            UsageError: a design lies outside the space.
        """
        for design in designs:
            self.space.require(design)
        if len(designs) != 1:
            return screen(designs, self.scenario)
        return [_alone(designs[0], self.scenario)]

    def evaluate(self, designs: Sequence[Design]) -> list[Evaluation]:
        """Screen, then measure accuracy of what is left; infeasible for free is never trained."""
        evaluations = self.screen(designs)
        alive = [index for index, one in enumerate(evaluations) if one.infeasible is None]
        queries = [self.scenario.query(designs[index], self.space, self.seed) for index in alive]
        for index, accuracy in zip(alive, self.accuracy(queries), strict=True):
            evaluations[index] = judge(evaluations[index], accuracy, self.scenario)
        return evaluations


def screen(designs: Sequence[Design], scenario: Scenario) -> list[Evaluation]:
    """Cost, floorplan and area of designs, without accuracy."""
    if not designs:
        return []
    settings = [scenario.complete(design) for design in designs]
    stack = scenario.workload.stack(designs)
    batch = cost.evaluate_mixed(stack, settings)
    faults: list[str | None] = [None] * len(designs)
    if not batch.feasible.all():
        faults = cost.floorplan_fault_mixed(stack, settings)
    return [
        _screened(design, scenario, batch, row, faults[row]) for row, design in enumerate(designs)
    ]


@lru_cache(maxsize=4096)
def _alone(design: Design, scenario: Scenario) -> Evaluation:
    """Screen one design: searches propose most of them twice, and evaluate what has passed.

    In company the last bit of a cost may be another, so that is not kept.
    """
    return screen([design], scenario)[0]


def judge(evaluation: Evaluation, accuracy: Accuracy, scenario: Scenario) -> Evaluation:
    """Complete a screened evaluation with its accuracy: the accuracy limit, then the reward."""
    assert evaluation.cost is not None
    if scenario.limits.accuracy_shortfall(accuracy.mean) > 0:
        bar = f"{scenario.limits.accuracy_bar:.3f}, the limit with its margin"
        reason = f"accuracy {accuracy.mean:.3f} is below {bar}"
        fault = Infeasible(kind="accuracy", reason=reason)
        return evaluation.model_copy(update={"accuracy": accuracy, "infeasible": fault})
    reward = scenario.objective.reward(accuracy.mean, evaluation.cost)
    return evaluation.model_copy(update={"accuracy": accuracy, "reward": reward})


def _screened(
    design: Design, scenario: Scenario, batch: cost.CostBatch, place: int, fault: str | None
) -> Evaluation:
    price, infeasible, limits = None, None, scenario.limits
    if fault is not None:
        infeasible = Infeasible(kind="floorplan", reason=fault)
    else:
        price = Cost(**{name: float(getattr(batch, name)[place]) for name in Cost.model_fields})
        if limits.area_um2 is not None and limits.area_excess(price.area_um2) > 0:
            most = f"{limits.area_um2 / 1e6:.2f} mm2"
            reason = f"area {price.area_um2 / 1e6:.2f} mm2 exceeds the limit {most}"
            infeasible = Infeasible(kind="area", reason=reason)
    return Evaluation(design=design, scenario=scenario.digest, cost=price, infeasible=infeasible)
