"""The best known design of a scenario, and what random designs reach: the ends of regret's scale.

Accuracy comes from a function over whole populations (the surrogate), cost from the exact model.
Small spaces are enumerated. In others independent searches start anew until some agree on the
best reward; how many of how many agreed says how sure it is.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.config import Config, digest, load
from cim_sim.files import write_whole
from cim_sim.scenario import Scenario
from cim_sim.space import Design, Space
from cim_sim.types import Indices
from search.evaluators import digests
from search.landscape import (
    INFEASIBLE,
    Landscape,
    PopulationAccuracy,
    Ranked,
    crossed,
    draw,
    neighbours,
    predicted,
    ranked,
    require_known,
)
from search.record.judge import Judge
from search.record.manifest import Digests

FOLDER = Path("runs/optima")
"""Where optima are kept, by the digests of all they depend on."""

EXHAUSTIVE = 300_000
"""Spaces up to this size are enumerated."""
CHUNK = 20_000
"""Designs that are enumerated at a time."""
SAMPLE = 5_000
"""Random designs behind the median and the share of feasible ones."""
AGREEING = 3
"""Independent searches that must end at the same reward."""
MOST_SEARCHES = 15
"""Searches after which the best end stands, however few agree."""
START = 2000
"""Random designs from which a search starts."""
BEAM = 24
"""Designs whose neighbours a search looks at in each round."""
CROSSED = 500
"""Crossings of pairs of the beam that it looks at beside them."""
PATIENCE = 3
"""Rounds without improvement after which a search looks at pairs of changes."""
TOLERANCE = 1e-9
"""Rewards this close are one: sums in another order differ by rounding."""


class Optimum(Config):
    """The best known design, and how it was found."""

    scenario: str
    """Digest."""
    design: Design | None = None
    """None: no design was found feasible."""
    reward: float | None = None
    median_feasible: float | None
    """Median reward of random feasible designs."""
    feasible_share: float
    """Of random designs."""
    method: Literal["exhaustive", "searches"]
    searches: int = 0
    agreeing: int = 0
    """Searches, all independent, that ended at this reward."""
    evaluations: int = 0
    digests: Digests | None = None
    """Of the problem and the judge under which it is the best."""


def find(scenario: Scenario, space: Space, accuracy: PopulationAccuracy, seed: int = 0) -> Optimum:
    """Find the best design of a scenario and the median of random feasible ones."""
    land = Landscape(scenario, space, accuracy)
    random = land.fitness(draw(space, SAMPLE, np.random.default_rng([seed, 0])))
    feasible = random[random > INFEASIBLE]
    sample = Optimum(
        scenario=scenario.digest,
        median_feasible=float(np.median(feasible)) if len(feasible) else None,
        feasible_share=len(feasible) / len(random),
        method="exhaustive" if space.size <= EXHAUSTIVE else "searches",
    )
    ends = [_best_of_all(land)] if sample.method == "exhaustive" else _searches(land, seed)
    best = max(ends, key=lambda end: end.fitness)
    agreeing = sum(end.fitness >= best.fitness - TOLERANCE for end in ends)
    result: dict[str, Any] = {
        "searches": len(ends),
        "agreeing": agreeing,
        "evaluations": land.evaluations,
    }
    if best.fitness > INFEASIBLE:
        result |= {"design": space.decode(best.design.tolist()), "reward": best.fitness}
    return sample.model_copy(update=result)


def known(scenario: Scenario, space: Space, folder: Path = FOLDER) -> Optimum:
    """Return the optimum under the surrogate evaluator, found once and then kept in `folder`.

    Raises:
        UsageError: the surrogate knows nothing about this scenario or space.
        OSError: the folder cannot be written.
    """
    identity = digests(scenario, space, Judge(evaluator="surrogate"))
    file = folder / f"{digest(identity)}.json"
    if file.exists():
        return load(file, Optimum)
    require_known(scenario, space)
    best = find(scenario, space, predicted(scenario, space, surrogate.load()))
    best = best.model_copy(update={"digests": identity})
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):  # another program has just kept the same one
        write_whole(file, best.model_dump_json() + "\n")
    return best


class End(NamedTuple):
    """Where a search ended."""

    fitness: float
    design: Indices


def _best_of_all(land: Landscape) -> End:
    sizes = [len(parameter.choices) for parameter in land.space.parameters]
    starts = range(0, land.space.size, CHUNK)
    chunks = (np.arange(start, min(start + CHUNK, land.space.size)) for start in starts)
    ends = (_best(land, np.stack(np.unravel_index(chunk, sizes), axis=1)) for chunk in chunks)
    return max(ends, key=lambda end: end.fitness)


def _best(land: Landscape, population: Indices) -> End:
    fitness = land.fitness(population)
    return End(float(fitness.max()), population[np.argmax(fitness)])


def _searches(land: Landscape, seed: int) -> list[End]:
    """Search anew until AGREEING searches end at the best fitness, or the patience ends."""
    ends: list[End] = []
    for number in range(MOST_SEARCHES):
        ends.append(_search(land, np.random.default_rng([seed, 1 + number])))
        best = max(end.fitness for end in ends)
        if sum(end.fitness >= best - TOLERANCE for end in ends) >= AGREEING:
            break
    return ends


def _search(land: Landscape, rng: np.random.Generator) -> End:
    """Keep a beam of designs; look at all neighbours and at crossings, until nothing improves.

    The end is a design that no change of two parameters improves.
    """
    beam, fitness = _keep(draw(land.space, START, rng), land)
    idle = 0
    while True:
        before = fitness[0]
        near = [neighbours(land.space, design) for design in beam]
        beam, fitness = _keep(np.vstack([beam, crossed(beam, CROSSED, rng), *near]), land)
        idle = 0 if fitness[0] > before + TOLERANCE else idle + 1
        if idle < PATIENCE:
            continue
        changed = neighbours(land.space, beam[0])
        pairs = np.vstack([neighbours(land.space, design) for design in changed])
        better = _best(land, np.unique(pairs, axis=0))
        if better.fitness <= fitness[0] + TOLERANCE:
            return End(float(fitness[0]), beam[0])
        beam, fitness, idle = np.vstack([better.design, beam]), np.array([better.fitness]), 0


def _keep(population: Indices, land: Landscape) -> Ranked:
    """Return the best different designs."""
    population = np.unique(population, axis=0)
    best = ranked(population, land.fitness(population))
    return Ranked(best.population[:BEAM], best.fitness[:BEAM])
