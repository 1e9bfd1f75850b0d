"""Whole populations at once: designs as rows of choices, priced, judged, crossed and mutated.

A population is an integer matrix [designs, parameters]: the index of each parameter's choice in
the order of `Space.parameters`, the rows that `Space.encode` and `Space.decode` speak.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cim_sim import cost
from cim_sim.accuracy.surrogate.model import LARGEST_SIGMA, Surrogate, require_covered
from cim_sim.hardware import FreeHardware
from cim_sim.own import AnySpace
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from cim_sim.types import Bools, Floats, Indices

PopulationAccuracy = Callable[[Indices], Floats]
"""Mean accuracy of a population, [designs]."""

INFEASIBLE = -10.0
"""Fitness below which there is no reward: every reward is above -1."""
NO_FLOORPLAN = 5.0
"""Counts like an area so many times beyond its limit."""


@dataclass(frozen=True)
class Prices:
    """What is free to know of a population, all [designs]; NaN where there is no floorplan."""

    energy_pj: Floats
    latency_ns: Floats
    area_um2: Floats
    utilisation: Floats
    """Share of the chip's memory cells that hold a weight."""
    allowed: Bools
    """There is a floorplan, and the area keeps the scenario's limit."""


class Networks(NamedTuple):
    """The network half of a population, both [designs, convolutions]."""

    channels: Indices
    kernels: Indices


def draw(space: AnySpace, count: int, rng: np.random.Generator) -> Indices:
    """Draw a population uniformly, with replacement."""
    sizes = [len(parameter.choices) for parameter in space.parameters]
    return rng.integers(sizes, size=(count, len(sizes)))


def networks(space: Space, population: Indices) -> Networks:
    """Return the channels and kernels of a population."""
    layers = population[:, : 2 * space.layers]
    channels, kernels = np.array(space.channels), np.array(space.kernels)
    return Networks(channels[layers[:, 0::2]], kernels[layers[:, 1::2]])


def by_hardware(space: Space, population: Indices) -> Iterator[tuple[FreeHardware, Indices]]:
    """Split a population by the hardware that its designs choose; yields the row numbers too."""
    freed = space.parameters[2 * space.layers :]
    settings, place = np.unique(population[:, 2 * space.layers :], axis=0, return_inverse=True)
    for number, setting in enumerate(settings):
        choices = zip(space.freed, freed, setting, strict=True)
        chosen = {name: parameter.choices[index] for name, parameter, index in choices}
        yield FreeHardware.model_validate(chosen), np.flatnonzero(place.reshape(-1) == number)


def prices(scenario: Scenario, space: Space, population: Indices) -> Prices:
    """Price a population, as `cim_sim.evaluate.screen` does one design at a time."""
    energy, latency, area, utilisation = np.full((4, len(population)), np.nan)
    channels, kernels = networks(space, population)
    for free, rows in by_hardware(space, population):
        stack = scenario.workload.stack_of(channels[rows], kernels[rows])
        batch = cost.evaluate(stack, scenario.hardware.complete(free))
        fits = batch.feasible
        energy[rows[fits]] = (batch.dynamic_energy_pj + batch.leakage_energy_pj)[fits]
        latency[rows[fits]], area[rows[fits]] = batch.latency_ns[fits], batch.area_um2[fits]
        utilisation[rows[fits]] = batch.utilisation[fits]
    allowed = scenario.limits.area_excess(area) <= 0
    return Prices(energy, latency, area, utilisation, allowed)


def sigmas(scenario: Scenario, space: Space, population: Indices) -> Floats:
    """Effective variation of each design: cell bits that are free act through it, [designs]."""
    values = np.empty(len(population))
    for free, rows in by_hardware(space, population):
        hardware = scenario.hardware.complete(free)
        values[rows] = scenario.variation.effective(hardware.cell_bits)
    return values


def require_known(scenario: Scenario, space: Space) -> None:
    """Raise UsageError unless the surrogate knows this scenario and all of this space."""
    for corner in (0, -1):
        place = [corner % len(parameter.choices) for parameter in space.parameters]
        require_covered(scenario.query(space.decode(place), space, seed=0))


def predicted(
    scenario: Scenario, space: Space, model: Surrogate, *, caution: float = 0.0
) -> PopulationAccuracy:
    """Return what the evaluator `surrogate` says of whole populations; see `require_known`.

    Args:
        scenario: what is fixed.
        space: where the populations are from.
        model: the surrogate.
        caution: predictive standard deviations that each accuracy is lowered by: an optimiser
            ends where a regression errs upwards. Without any, prediction is several times faster.
    """

    def accuracy(population: Indices) -> Floats:
        channels, kernels = networks(space, population)
        values = np.zeros(len(population))
        for free, rows in by_hardware(space, population):
            hardware = scenario.hardware.complete(free)
            sigma = scenario.variation.effective(hardware.cell_bits)
            trained = sigma if scenario.training_sigma == "matched" else scenario.training_sigma
            if max(sigma, trained) > LARGEST_SIGMA:
                continue  # not known: accuracy 0, so that no search ends there
            mean, std = model.predict_arrays(
                channels[rows] // space.width_divisor,
                kernels[rows],
                sigma,
                trained,
                adc_levels=hardware.adc_levels,
                adc_rows=hardware.subarray,
                dataset=scenario.workload.dataset,
                unclipped=scenario.recipe.clip_rms is None,
                with_std=caution > 0,
            )
            values[rows] = mean - caution * std
        return values

    return accuracy


def neighbours(space: Space, design: Indices) -> Indices:
    """Return every design that differs from `design` [parameters] in one choice, a population."""
    places = [
        (place, choice)
        for place, parameter in enumerate(space.parameters)
        for choice in range(len(parameter.choices))
        if choice != design[place]
    ]
    found = np.tile(design, (len(places), 1))
    for row, (place, choice) in enumerate(places):
        found[row, place] = choice
    return found


@dataclass
class Landscape:
    """Fitness of whole populations in one scenario; counts what it evaluates."""

    scenario: Scenario
    space: Space
    accuracy: PopulationAccuracy
    evaluations: int = 0

    def fitness(self, population: Indices) -> Floats:
        """Reward of each design; below INFEASIBLE, and the lower the worse, where it has none."""
        self.evaluations += len(population)
        price, limits = prices(self.scenario, self.space, population), self.scenario.limits
        accuracy = np.full(len(population), np.nan)
        if price.allowed.any():
            accuracy[price.allowed] = self.accuracy(population[price.allowed])
        excess = np.nan_to_num(limits.area_excess(price.area_um2), nan=NO_FLOORPLAN)
        shortfall = limits.accuracy_shortfall(accuracy)
        beyond = np.where(price.allowed, shortfall, np.minimum(excess, NO_FLOORPLAN))
        reward = self.scenario.objective.reward(accuracy, price)
        return np.where(beyond > 0, INFEASIBLE - beyond, reward)


class Effort(NamedTuple):
    """How long `evolve` goes on, in numbers of designs."""

    start: int
    """Drawn at random."""
    rounds: int
    children: int
    """Of each round."""
    parents: int
    """The fittest so far, from which a round's children are."""


class Ranked(NamedTuple):
    """Different designs, the fittest first."""

    population: Indices
    fitness: Floats
    """[designs]"""


def evolve(
    fitness: Callable[[Indices], Floats], space: Space, rng: np.random.Generator, effort: Effort
) -> Ranked:
    """Cross the fittest and change about one parameter of each child; return all that was seen."""
    population = np.unique(draw(space, effort.start, rng), axis=0)
    scores = fitness(population)
    for _ in range(effort.rounds):
        parents = population[np.argsort(-scores, kind="stable")[: effort.parents]]
        crossings = crossed(parents, effort.children, rng)
        children = mutated(space, crossings, 1 / len(space.parameters), rng)
        population = np.vstack([population, children])
        scores = np.concatenate([scores, fitness(children)])
    return ranked(population, scores)


def ranked(population: Indices, fitness: Floats) -> Ranked:
    """Sort the different designs of a population."""
    population, first = np.unique(population, axis=0, return_index=True)
    order = np.argsort(-fitness[first], kind="stable")
    return Ranked(population[order], fitness[first][order])


def crossed(parents: Indices, count: int, rng: np.random.Generator) -> Indices:
    """Mix `count` random pairs of parents, parameter by parameter."""
    mothers, fathers = rng.integers(len(parents), size=(2, count))
    takes_mother = rng.random((count, parents.shape[1])) < 0.5
    return np.where(takes_mother, parents[mothers], parents[fathers])


def mutated(space: Space, population: Indices, share: float, rng: np.random.Generator) -> Indices:
    """Draw a random share of all parameters anew."""
    fresh = draw(space, len(population), rng)
    return np.where(rng.random(population.shape) < share, fresh, population)
