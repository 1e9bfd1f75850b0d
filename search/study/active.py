"""Active rounds: train what an optimiser finds best under the surrogate, where it is most wrong.

A regression on random designs is exploited: the optimiser ends where the regression errs upwards.
Each round searches many small problems with the current surrogate, trains the winners and adds
them to the table; the next fit learns from them, and the newest round is its examination.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cim_sim import cost
from cim_sim.accuracy.bench import jobs as bench_jobs
from cim_sim.accuracy.bench.jobs import Job, Layers
from cim_sim.accuracy.surrogate.model import Surrogate
from cim_sim.config import UsageError
from cim_sim.hardware import Hardware
from cim_sim.space import ConvChoice
from cim_sim.types import Floats, Ints
from cim_sim.workload import Workload

POPULATION, GENERATIONS, PARENTS = 192, 30, 48
MUTATION = 0.15
SPACES = (
    ((16, 24, 32, 48, 64, 96, 128), (1, 3, 5, 7), 4),
    ((16, 24, 32, 48, 64, 96, 128), (1, 3, 5, 7), 4),
    ((24, 36, 48, 64), (1, 3, 5, 7), 4),
    ((32, 64, 128, 256, 512), (3, 5, 7), 16),
)
"""Channels, kernels and `width_divisor` of the spaces in `configs/spaces` (`embedded` twice)."""


@dataclass(frozen=True)
class Problem:
    """A search in small: what a scenario fixes and how a design is scored."""

    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    width_divisor: int
    hardware: Hardware
    sigma: float
    objective: Literal["energy", "latency"]
    normaliser: float
    """pJ or frames per second at which the cost term is 1."""
    area_um2: float

    def score(self, genes: Ints, surrogate: Surrogate) -> Floats:
        """Reward of designs [N, 12] (indices of channels, then of kernels); infeasible: -1."""
        widths, sizes = self.decode(genes)
        mean, _ = surrogate.predict_arrays(
            widths // self.width_divisor, sizes, self.sigma, self.sigma, with_std=False
        )
        price = cost.evaluate(Workload().stack_of(widths, sizes), self.hardware)
        if self.objective == "energy":
            reward = mean - np.sqrt(price.energy_pj / self.normaliser)
        else:
            reward = np.where(
                mean < 0.4, mean - 0.5, mean + 1e9 / price.latency_ns / self.normaliser
            )
        fine = price.feasible & (price.area_um2 <= self.area_um2)
        scores: Floats = np.where(fine, reward, -1.0)
        return scores

    def decode(self, genes: Ints) -> tuple[Ints, Ints]:
        """Channels and kernels, both [N, 6], of the full-width network."""
        return np.array(self.channels)[genes[:, :6]], np.array(self.kernels)[genes[:, 6:]]

    def random(self, rng: np.random.Generator, count: int) -> Ints:
        """Random genes [count, 12]."""
        choices = [len(self.channels)] * 6 + [len(self.kernels)] * 6
        return rng.integers(choices, size=(count, 12))


def round_jobs(surrogate: Surrogate, number: int, problems: int, seed: int = 0) -> list[Job]:
    """The trainings of one round: the best design of each problem, no network twice."""
    rng = np.random.default_rng([seed, number, 7])
    found: dict[str, Job] = {}
    for problem in _problems(rng):
        if len(found) >= problems:
            break
        layers = best(problem, surrogate, rng)
        job = bench_jobs.job(rng, f"found {number}", layers, problem.sigma)
        found.setdefault(job.key, job)
    return list(found.values())


def best(problem: Problem, surrogate: Surrogate, rng: np.random.Generator) -> Layers:
    """Proxy layers of the best design a genetic search finds under the surrogate."""
    genes = problem.random(rng, POPULATION)
    scores = problem.score(genes, surrogate)
    for _ in range(GENERATIONS):
        children = _children(genes[np.argsort(-scores)[:PARENTS]], problem, rng)
        genes = np.concatenate([genes, children])
        scores = np.concatenate([scores, problem.score(children, surrogate)])
        kept = np.argsort(-scores, kind="stable")[:POPULATION]
        genes, scores = genes[kept], scores[kept]
    widths, sizes = problem.decode(genes[:1])
    proxy = widths[0] // problem.width_divisor
    return tuple(ConvChoice(int(c), int(k)) for c, k in zip(proxy, sizes[0], strict=True))


def _children(parents: Ints, problem: Problem, rng: np.random.Generator) -> Ints:
    """Uniform crossover of random parents, then mutation."""
    shape = (POPULATION, parents.shape[1])
    mothers, fathers = parents[rng.integers(len(parents), size=(2, POPULATION))]
    mixed = np.where(rng.random(shape) < 0.5, mothers, fathers)
    mutated: Ints = np.where(rng.random(shape) < MUTATION, problem.random(rng, POPULATION), mixed)
    return mutated


def _problems(rng: np.random.Generator) -> Iterator[Problem]:
    """Endless different problems that have feasible designs, both objectives in turn."""
    while True:
        for objective in ("energy", "latency"):
            problem = None
            while problem is None:
                problem = _problem(rng, "energy" if objective == "energy" else "latency")
            yield problem


def _problem(rng: np.random.Generator, objective: Literal["energy", "latency"]) -> Problem | None:
    """A random problem with normalisers from its own random designs; None if none fits."""
    channels, kernels, divisor = SPACES[int(rng.integers(len(SPACES)))]
    hardware = _hardware(rng)
    sigma = round(float(rng.uniform(0.03, 0.2)), 3)
    draft = Problem(channels, kernels, divisor, hardware, sigma, objective, 1.0, np.inf)
    widths, sizes = draft.decode(draft.random(rng, 256))
    try:
        price = cost.evaluate(Workload().stack_of(widths, sizes), hardware)
    except UsageError:  # the table of constants does not hold this setting
        return None
    fine: NDArray[np.bool_] = price.feasible
    if fine.sum() < 20:
        return None
    energy, speed = np.median(price.energy_pj[fine]), np.median(1e9 / price.latency_ns[fine])
    normaliser = 4 * energy if objective == "energy" else 4 * speed
    area = float(np.quantile(price.area_um2[fine], rng.uniform(0.3, 1.0)))
    return Problem(channels, kernels, divisor, hardware, sigma, objective, float(normaliser), area)


def _hardware(rng: np.random.Generator) -> Hardware:
    return Hardware.model_validate(
        {
            "device": str(rng.choice(["rram", "fefet"])),
            "subarray": int(rng.choice([64, 128, 256])),
            "cell_bits": int(rng.choice([1, 2, 4])),
            "adc_levels": int(rng.choice([32, 64])),
            "mapping": str(rng.choice(["conventional", "novel"])),
        }
    )
