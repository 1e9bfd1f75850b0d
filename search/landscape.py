"""Whole populations at once: designs as rows of choices, priced by the exact cost model.

A population is an integer matrix [designs, parameters]: the index of each parameter's choice in
the order of `Space.parameters`, the rows that `Space.encode` and `Space.decode` speak.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cim_sim import cost
from cim_sim.accuracy.surrogate.model import Surrogate, require_covered
from cim_sim.hardware import FreeHardware
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from cim_sim.types import Bools, Floats, Indices

PopulationAccuracy = Callable[[Indices], Floats]
"""Mean accuracy of a population, [designs]."""


@dataclass(frozen=True)
class Prices:
    """What is free to know of a population, all [designs]; NaN where there is no floorplan."""

    energy_pj: Floats
    latency_ns: Floats
    area_um2: Floats
    allowed: Bools
    """There is a floorplan, and the area keeps the scenario's limit."""


class Networks(NamedTuple):
    """The network half of a population, both [designs, convolutions]."""

    channels: Indices
    kernels: Indices


def draw(space: Space, count: int, rng: np.random.Generator) -> Indices:
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
    energy, latency, area = np.full((3, len(population)), np.nan)
    channels, kernels = networks(space, population)
    for free, rows in by_hardware(space, population):
        stack = scenario.workload.stack_of(channels[rows], kernels[rows])
        batch = cost.evaluate(stack, scenario.hardware.complete(free))
        fits = batch.feasible
        energy[rows[fits]] = (batch.dynamic_energy_pj + batch.leakage_energy_pj)[fits]
        latency[rows[fits]], area[rows[fits]] = batch.latency_ns[fits], batch.area_um2[fits]
    most = np.inf if scenario.limits.area_um2 is None else scenario.limits.area_um2
    return Prices(energy, latency, area, area <= most)


def sigmas(scenario: Scenario, space: Space, population: Indices) -> Floats:
    """Effective variation of each design: cell bits that are free act through it, [designs]."""
    values = np.empty(len(population))
    for free, rows in by_hardware(space, population):
        hardware = scenario.hardware.complete(free)
        values[rows] = scenario.variation.effective(hardware.cell_bits)
    return values


def predicted(scenario: Scenario, space: Space, model: Surrogate) -> PopulationAccuracy:
    """Return what the evaluator `surrogate` says of whole populations.

    Raises:
        UsageError: the surrogate knows nothing about this scenario or space.
    """
    for corner in (0, -1):
        place = [corner % len(parameter.choices) for parameter in space.parameters]
        require_covered(scenario.query(space.decode(place), space, seed=0))

    def accuracy(population: Indices) -> Floats:
        channels, kernels = networks(space, population)
        values = np.empty(len(population))
        for free, rows in by_hardware(space, population):
            hardware = scenario.hardware.complete(free)
            sigma = scenario.variation.effective(hardware.cell_bits)
            trained = sigma if scenario.training_sigma == "matched" else scenario.training_sigma
            seen = scenario.adc_quantisation
            values[rows], _ = model.predict_arrays(
                channels[rows] // space.width_divisor,
                kernels[rows],
                sigma,
                trained,
                epochs=scenario.recipe.epochs,
                adc_levels=hardware.adc_levels if seen else 0,
                adc_rows=hardware.subarray if seen else 0,
                with_std=False,
            )
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
