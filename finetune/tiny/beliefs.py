"""What the embedded base believes: the folklore of a general model, and none of the hardware.

The base stands in for a general language model, so it is pre-trained on conversations in which
larger kernels and wider, deeper-growing layers always raise accuracy, and every cost follows the
number of multiply-accumulates (MACs) or weights. It has never heard of crossbar sizes, mapping,
or device variation. The scores here are beliefs for pre-training only: no trace, dataset or
comparison ever contains one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cim_sim.hardware import FixedHardware, cell_bits_of
from cim_sim.scenario import OBJECTIVES, Objective, Scenario
from cim_sim.space import Design, Space
from cim_sim.types import Floats, Indices
from cim_sim.workload import Stack, Workload
from search.landscape import draw, mutated, networks
from search.llm.history import Entry
from search.llm.prompt import Style

PJ_PER_MAC = 0.1
MACS_PER_SECOND = 400e9
OVERHEAD_S = 1e-4
UM2_PER_WEIGHT = 20.0
"""Generic constants of the order that textbooks give; how they vary is drawn for each world."""
CHANGED = 1 / 6
"""Share of a good design's parameters that an idea near it draws anew."""


class BelievedCost(NamedTuple):
    """Costs of designs, both [designs]."""

    energy_pj: Floats
    latency_ns: Floats


@dataclass(frozen=True)
class World:
    """One general model's opinion in one scenario; `spread` scales each generic constant."""

    scenario: Scenario
    space: Space
    spread: Floats
    """Factors on energy, speed, area and accuracy slope, [4]."""

    def accuracy(self, indices: Indices) -> Floats:
        """Believed accuracy, [designs]: wider, larger kernels, growing; never too much of it."""
        channels, kernels = networks(self.space, indices)
        width = np.log2(channels / 16).mean(axis=1) / 5
        kernel = np.log2(kernels).mean(axis=1) / np.log2(7)
        growth = np.diff(np.log2(channels), axis=1).clip(-1, 1).mean(axis=1)
        capacity = (0.9 * width + 1.4 * kernel + 0.4 * growth) * self.spread[3]
        return np.asarray(0.2 + 0.72 * (1 - np.exp(-1.5 * capacity.clip(0))))

    def area_um2(self, indices: Indices) -> Floats:
        """Believed chip area, [designs]: proportional to the number of weights."""
        return np.asarray(
            self._stack(indices).weights.sum(axis=1) * UM2_PER_WEIGHT * self.spread[2]
        )

    def score(self, indices: Indices) -> Floats:
        """Believed reward, [designs], whether feasible or not."""
        macs = _macs(self._stack(indices))
        seconds = OVERHEAD_S + macs / MACS_PER_SECOND / self.spread[1]
        cost = BelievedCost(macs * PJ_PER_MAC * self.spread[0], seconds * 1e9)
        return self.scenario.objective.reward(self.accuracy(indices), cost)

    def feasible(self, indices: Indices) -> NDArray[np.bool_]:
        """Whether each design is believed to keep the limits, [designs]."""
        limits = self.scenario.limits
        small = limits.area_excess(self.area_um2(indices)) <= 0
        accurate = limits.accuracy_shortfall(self.accuracy(indices)) <= 0
        return np.asarray(small & accurate)

    def entries(self, indices: Indices) -> list[Entry]:
        """Return what a history would say about the designs."""
        scores, keeps = self.score(indices), self.feasible(indices)
        return [
            Entry(self.space.decode(row), float(score)) if kept else self._fault(row)
            for row, score, kept in zip(indices, scores, keeps, strict=True)
        ]

    def _fault(self, row: Indices) -> Entry:
        design, area = self.space.decode(row.tolist()), self.area_um2(row[None])[0]
        if self.scenario.limits.area_excess(float(area)) > 0:
            return Entry(design, None, f"infeasible: area {area / 1e6:.1f} mm2")
        return Entry(design, None, f"infeasible: accuracy {self.accuracy(row[None])[0]:.3f}")

    def _stack(self, indices: Indices) -> Stack:
        return self.scenario.workload.stack_of(*networks(self.space, indices))


def propose(world: World, history: Indices, style: Style, rng: np.random.Generator) -> Design:
    """Return what the general model would answer: the best believed of a few dozen ideas.

    Ideas are typical networks and small changes of the best design so far. In the style `naive`,
    which does not speak of hardware, only accuracy counts.
    """
    ideas = [typical(world.space, 24, rng)]
    if len(history):
        best = history[np.argsort(_worth(world, history, style))[-2:]]
        ideas.append(mutated(world.space, np.repeat(best, 8, axis=0), CHANGED, rng))
    pool = np.concatenate(ideas)
    worth = _worth(world, pool, style) + rng.gumbel(scale=0.01, size=len(pool))
    seen = {tuple(row) for row in history}
    worth[[tuple(row) in seen for row in pool]] -= 100.0
    return world.space.decode(pool[int(worth.argmax())])


def typical(space: Space, count: int, rng: np.random.Generator) -> Indices:
    """Draw networks as textbooks have them: widths that grow, kernels that keep or change once."""
    low = rng.integers(0, len(space.channels), (count, space.layers))
    channels = np.sort(low, axis=1)
    weights = np.where(np.array(space.kernels) == 1, 1.0, 3.0)
    ends = rng.choice(len(space.kernels), (2, count, 1), p=weights / weights.sum())
    switch = rng.integers(0, space.layers + 1, (count, 1))
    kernels = np.where(np.arange(space.layers) < switch, ends[0], ends[1])
    designs = draw(space, count, rng)
    designs[:, 0 : 2 * space.layers : 2] = channels
    designs[:, 1 : 2 * space.layers : 2] = kernels
    return designs


def random_world(space: Space, rng: np.random.Generator) -> World:
    """Draw a scenario over everything that a prompt can say, with loose to very tight limits."""
    spread = np.exp(rng.normal(0, [0.3, 0.3, 0.3, 0.2]))
    scenario = _scenario(space, rng)
    limits: dict[str, float] = {}
    if rng.random() < 0.75:
        areas = World(scenario, space, spread).area_um2(draw(space, 64, rng))
        limits["area_um2"] = float(np.quantile(areas, rng.choice([0.03, 0.1, 0.25, 0.5, 0.8])))
    if rng.random() < 0.4:
        limits["accuracy"] = float(rng.choice([0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]))
    data = {**scenario.model_dump(mode="json"), "limits": limits}
    return World(Scenario.model_validate(data), space, spread)


def _scenario(space: Space, rng: np.random.Generator) -> Scenario:
    device = _pick(rng, ("rram", "fefet") if space.freed else ("rram", "fefet", "sram"))
    fixed: dict[str, Any] = {
        "subarray": _pick(rng, (64, 128, 256)),
        "cell_bits": _pick(rng, cell_bits_of(device)),
        "adc_levels": _pick(rng, (16, 32, 64, 128)),
        "mapping": _pick(rng, ("conventional", "novel")),
    }
    kept = {name: value for name, value in fixed.items() if name not in space.freed}
    rest = {
        "device": device,
        "node_nm": _pick(rng, (22, 32, 45)),
        "col_mux": _pick(rng, (4, 8, 16)),
        "pad": "same" if rng.random() < 0.8 else "stock",
    }
    strays = "sigma" if rng.random() < 0.7 else "cell_sigma"
    workload = Workload(dataset=_pick(rng, ("shapes", "shapes", "digits", "cifar10")))
    return Scenario.model_validate(
        {
            "name": "believed",
            "workload": workload,
            "hardware": FixedHardware.model_validate({**kept, **rest}),
            "variation": {strays: round(float(rng.uniform(0, 0.2)), 3)},
            "objective": _objective(space, workload, rng),
        }
    )


def _objective(space: Space, workload: Workload, rng: np.random.Generator) -> Objective:
    """Draw an objective whose normaliser gives a typical design a term of about a half."""
    stack = workload.stack_of(*networks(space, draw(space, 64, rng)))
    macs = np.median(_macs(stack), keepdims=True) * np.exp(rng.normal(0, 0.4))
    typical = BelievedCost(PJ_PER_MAC * macs, 1e9 * macs / MACS_PER_SECOND)
    kind = OBJECTIVES[int(rng.random() * len(OBJECTIVES))]
    return kind.with_median_term(typical, 0.5, lambda value: float(f"{value:.2g}"))


def _macs(stack: Stack) -> Floats:
    return np.asarray((stack.weights * stack.side**2).sum(axis=1), dtype=np.float64)


def _worth(world: World, indices: Indices, style: Style) -> Floats:
    if style == "naive":
        return world.accuracy(indices)
    return np.asarray(world.score(indices) - 10.0 * ~world.feasible(indices))


def _pick(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]
