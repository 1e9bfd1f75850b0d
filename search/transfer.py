"""What a solved task says about another one: how far apart they are, and its designs over there."""

from collections.abc import Sequence
from functools import cache
from typing import get_args

import numpy as np

from cim_sim.config import UsageError
from cim_sim.hardware import FREEABLE, Device, FixedHardware
from cim_sim.space import Design, Parameter, Space
from cim_sim.types import Floats, Indices
from search.record.tasks import Task

DEVICES: tuple[str, ...] = get_args(Device)
LARGEST_AREA = 10.0
"""log2 of an area in mm2 that limits nothing."""


def projected(
    population: Indices, source: Space, hardware: FixedHardware, target: Space
) -> Indices:
    """Return the nearest designs of another space, a population of `target`.

    Each parameter takes the nearest of its choices, by ratio; hardware that `source` does not free
    is what its scenario fixes. What is not known there takes the first choice.

    Args:
        population: designs of `source`, [designs, parameters].
        source: where they are from.
        hardware: fixed by the scenario that they are from.
        target: with equally many layers.

    Raises:
        UsageError: it has more or fewer.
    """
    if source.layers != target.layers:
        raise UsageError(
            f"space {target.name}: {target.layers} layers, but what is remembered of other tasks "
            f"has {source.layers}; search it with greybox, tpe, genetic, reinforce or random"
        )
    columns = {parameter.name: place for place, parameter in enumerate(source.parameters)}
    known = {parameter.name: parameter for parameter in source.parameters}
    projection = np.zeros((len(population), len(target.parameters)), dtype=np.int64)
    for place, parameter in enumerate(target.parameters):
        if parameter.name in columns:
            nearest = [_nearest(value, parameter) for value in known[parameter.name].choices]
            projection[:, place] = np.array(nearest)[population[:, columns[parameter.name]]]
        else:
            fixed = getattr(hardware, parameter.name.removeprefix("hardware."))
            projection[:, place] = _nearest(fixed, parameter)
    return projection


def projected_design(design: Design, task: Task, target: Space) -> Design:
    """Return the design of `target` that is nearest to one of a task."""
    row = np.array([task.space.encode(design)], dtype=np.int64)
    (nearest,) = projected(row, task.space, task.scenario.hardware, target)
    return target.decode(nearest.tolist())


def distances(task: Task, others: Sequence[Task]) -> Floats:
    """Return how far each of the others is from a task, [others].

    The sum over `traits`, and what a projection into the other's space loses of the choices.
    """
    losses = {space: _loss(task.space, space) for space in {other.space for other in others}}
    traits_apart = np.abs(_table(others) - _table([task])).sum(axis=1)
    return np.asarray(traits_apart + [losses[other.space] for other in others])


def nearest(task: Task, others: Sequence[Task], count: int) -> list[int]:
    """Return the places of the nearest others, the nearest first."""
    return [int(place) for place in np.argsort(distances(task, others), kind="stable")[:count]]


def traits(task: Task) -> dict[str, float]:
    """Return what a task is told apart by; a difference of 1 counts the same in each.

    Where hardware is free, the mean over its choices stands for it.
    """
    scenario, space, limits = task.scenario, task.space, task.scenario.limits
    options = {name: _options(task, name) for name in FREEABLE}
    area = np.log2(limits.area_um2 / 1e6) if limits.area_um2 else LARGEST_AREA
    bits = [int(choice) for choice in options["cell_bits"]]
    sigma = float(np.mean([scenario.variation.effective(count) for count in bits]))
    return {
        "mapping": 4 * float(np.mean([choice == "novel" for choice in options["mapping"]])),
        **{name: _mean_log2(options[name]) for name in ("subarray", "cell_bits", "adc_levels")},
        **{f"{name} is free": float(name in space.freed) for name in FREEABLE},
        "node": scenario.hardware.node_nm / 22,
        **{device: float(scenario.hardware.device == device) / 4 for device in DEVICES},
        "sigma": sigma / 0.05,
        "energy": 4 * float(scenario.objective.metric == "energy"),
        "latency": 4 * float(scenario.objective.metric == "latency"),
        "area limit": min(float(area), LARGEST_AREA),
        "least accuracy": (limits.accuracy or 0.0) / 0.1,
    }


def _table(tasks: Sequence[Task]) -> Floats:
    return np.array([_row(task) for task in tasks])


@cache
def _row(task: Task) -> tuple[float, ...]:
    """Return the traits of a task, which is compared many times."""
    return tuple(traits(task).values())


@cache
def _loss(space: Space, other: Space) -> float:
    """Mean number of octaves by which the other's nearest choices miss those of a space, x 4."""
    pairs = (space.channels, other.channels), (space.kernels, other.kernels)
    return 4 * sum(
        float(np.abs(_octaves(ours, theirs)).min(axis=1).mean()) for ours, theirs in pairs
    )


def _octaves(ours: Sequence[int], theirs: Sequence[int]) -> Floats:
    """Ratio of each of our choices to each of theirs, log2, [ours, theirs]."""
    return np.asarray(np.log2(np.array(ours)[:, None] / np.array(theirs)[None, :]))


def _options(task: Task, name: str) -> tuple[int | str, ...]:
    choices: tuple[int | str, ...] = getattr(task.space.hardware, name)
    return choices or (getattr(task.scenario.hardware, name),)


def _mean_log2(options: Sequence[int | str]) -> float:
    return float(np.mean(np.log2([int(choice) for choice in options])))


@cache
def _nearest(value: float | str | None, parameter: Parameter) -> int:
    """Return the place of the choice nearest to a value; of two that are equally near the first."""
    if value is None:
        return 0
    if isinstance(value, str):
        return parameter.choices.index(value) if value in parameter.choices else 0
    ratios = np.log([int(choice) / value for choice in parameter.choices])
    return int(np.argmin(np.abs(ratios)))
