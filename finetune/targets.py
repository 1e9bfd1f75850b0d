"""Good designs of a scenario under the accuracy surrogate: the second source of traces.

Scale and quality of the targets decide how good a model becomes; the bench alone has too few
networks for most scenarios. Every accuracy that comes from here is a prediction, and each trace
says so. An optimiser finds a regression's mistakes, so the search keeps below the prediction by
its own standard deviation.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cim_sim.accuracy.surrogate.model import LARGEST_SIGMA
from cim_sim.evaluate import Evaluation, Evaluator
from finetune.traces import Task, Trace
from search.landscape import Floats, Indices, draw, networks, sigmas
from search.study.optimum import Landscape

if TYPE_CHECKING:
    from cim_sim.accuracy.surrogate.model import Surrogate

CAUTION = 1.0
"""Predictive standard deviations that a design's accuracy is lowered by while searching."""
START, ROUNDS, CHILDREN, PARENTS = 400, 10, 120, 24
BEST, ON_THE_WAY, RANDOM = 4, 12, 16
"""Designs kept of each kind: the best, intermediate ones, and uniformly drawn ones."""


def surrogate_traces(
    task: Task, surrogate: "Surrogate", rng: np.random.Generator
) -> Iterator[Trace]:
    """Search one scenario, and evaluate what it found with the surrogate's plain prediction."""
    accuracy = partial(_careful, task, surrogate)
    population, fitness = _evolve(Landscape(task.scenario, task.space, accuracy), rng)
    known = sigmas(task.scenario, task.space, population) <= LARGEST_SIGMA
    kept = _kept(population[known], fitness[known], rng)
    for evaluation in _evaluations(task, surrogate, kept):
        yield Trace(task.space.name, "surrogate", surrogate.fitted.table_digest, evaluation)


def _careful(task: Task, surrogate: "Surrogate", population: Indices) -> Floats:
    """Return the predicted accuracy at matched training noise, less its uncertainty."""
    channels, kernels = networks(task.space, population)
    sigma = sigmas(task.scenario, task.space, population)
    proxy = channels // task.space.width_divisor
    mean, std = surrogate.predict_arrays(proxy, kernels, sigma, sigma)
    return np.asarray(np.where(sigma <= LARGEST_SIGMA, mean - CAUTION * std, 0.0))


def _evolve(land: Landscape, rng: np.random.Generator) -> tuple[Indices, Floats]:
    """Cross and mutate the best designs; return all that were seen, in the order of fitness."""
    population = np.unique(draw(land.space, START, rng), axis=0)
    fitness = land.fitness(population)
    for _ in range(ROUNDS):
        parents = population[np.argsort(-fitness, kind="stable")[:PARENTS]]
        children = _children(land, parents, rng)
        population = np.vstack([population, children])
        fitness = np.concatenate([fitness, land.fitness(children)])
    population, first = np.unique(population, axis=0, return_index=True)
    order = np.argsort(-fitness[first], kind="stable")
    return population[order], fitness[first][order]


def _children(land: Landscape, parents: Indices, rng: np.random.Generator) -> Indices:
    """Mix pairs parameter by parameter, and draw about one parameter of each child anew."""
    one, other = rng.integers(len(parents), size=(2, CHILDREN))
    shape = (CHILDREN, parents.shape[1])
    mixed = np.where(rng.random(shape) < 0.5, parents[one], parents[other])
    fresh = draw(land.space, CHILDREN, rng)
    return np.asarray(np.where(rng.random(shape) < 1 / shape[1], fresh, mixed), dtype=np.int64)


def _kept(population: Indices, fitness: Floats, rng: np.random.Generator) -> Indices:
    """Keep the best, some of the better half below them, and some of all."""
    middle = np.arange(BEST, max(BEST + 1, len(population) // 2))
    places: Indices = np.concatenate(
        [
            np.arange(min(BEST, len(population))),
            rng.choice(middle, min(ON_THE_WAY, len(middle)), replace=False),
            rng.choice(len(population), min(RANDOM, len(population)), replace=False),
        ]
    )
    return np.asarray(population[np.unique(places)], dtype=np.int64)


def _evaluations(task: Task, surrogate: "Surrogate", population: Indices) -> list[Evaluation]:
    designs = [task.space.decode(row.tolist()) for row in population]
    return Evaluator(task.scenario, task.space, surrogate.answer).evaluate(designs)
