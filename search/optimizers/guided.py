"""Somebody who knows the field proposes, and a model of this task's own results chooses.

A language model's answers to one question are candidates, and how likely it finds each is a prior
over where the optimum lies. Beside them stand what differs from the best designs so far in one
choice, and random designs. Costs are exact, accuracy is a Gaussian process over this run's results,
and at the n-th evaluation the design with the highest expected improvement times prior^(weight / n)
is chosen: the prior speaks first, and results have the last word (pi-BO, Hvarfner et
al., ICLR 2022). With `lookup` as the one who proposes it says what a language model adds.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from pydantic import Field

from cim_sim.config import Config
from cim_sim.space import Design
from cim_sim.types import Count, Floats, Indices
from search.landscape import draw, neighbours, prices
from search.optimizers.acquisition import Belief, features, log_improvement
from search.proposal import Opened, Problem, Proposal
from search.record.given import Given
from search.record.trace import Exchange, Trial

MEAN, SPREAD = 0.6, 0.1
"""Accuracy before any result: about this, and off by as much for all designs together."""
TREND, BUMP, NOISE = 0.05, 0.05, 0.01
"""Standard deviations of a slope per feature, of a smooth deviation from it, of one training."""


class Guide(Config):
    """Who proposes candidates."""

    optimizer: Literal["llm", "lookup"] = "lookup"
    settings: dict[str, Any] = Field(default_factory=dict)


class Settings(Config):
    """Who proposes, how long that counts, and what stands beside it."""

    guide: Guide = Guide()
    weight: Annotated[float, Field(ge=0)] = 3.0
    """Exponent of the prior at the first evaluation; at the n-th an n-th of it."""
    pool: Annotated[int, Field(ge=0)] = 500
    """Random designs among the candidates of each step."""
    climbs: Count = 4
    """Best designs so far whose neighbours are candidates."""


class Candidates(Protocol):
    """An optimiser that offers several designs for one slot."""

    def offer(self, count: int) -> list[Proposal]:
        """Return `count` candidates; they are one step of the optimiser."""

    def update(self, trials: Sequence[Trial]) -> None:
        """Learn what was evaluated, offered or not."""


class Guided:
    """Chooses among what the guide offers, neighbours of the best, and random designs."""

    def __init__(self, problem: Problem, settings: Settings, guide: Candidates) -> None:
        self._problem, self._settings, self._guide = problem, settings, guide
        self._space = problem.chip.space
        self._prices = partial(prices, problem.scenario, self._space)
        self._offered: dict[Design, float | None] = {}
        """Candidates of the guide so far, and how likely it found each."""
        self._tried: set[bytes] = set()
        self._rows: list[Indices] = []
        """Designs whose accuracy is known."""
        self._accuracies: list[float] = []
        self._rewards: list[float] = []
        """Likewise; -inf where the least accuracy is missed."""
        self._step = 0

    def suggest(self, count: int) -> list[Proposal]:
        """Propose one design after the other; of a batch, the mean is believed.

        Raises:
            SearchStopped: as the guide.
        """
        believed: list[tuple[Indices, float]] = []
        proposals = []
        for _ in range(count):
            offers = self._guide.offer(self._problem.draws)
            row, mean = self._choose(self._candidates(offers), believed)
            believed.append((row, mean))
            self._tried.add(row.tobytes())
            self._step += 1
            exchanges = tuple(exchange for offer in offers for exchange in offer.exchanges)
            design = self._space.decode(row.tolist())
            proposals.append(Proposal(design, exchanges=exchanges, passed_over=len(offers) - 1))
        return proposals

    def update(self, trials: Sequence[Trial]) -> None:
        """Learn accuracies, also of designs that miss the least accuracy; the guide learns too."""
        self._guide.update(trials)
        for trial in trials:
            if trial.design and trial.evaluation and trial.evaluation.accuracy:
                self._rows.append(np.array(self._space.encode(trial.design)))
                self._accuracies.append(trial.evaluation.accuracy.mean)
                reward = trial.evaluation.reward
                self._rewards.append(-np.inf if reward is None else reward)

    def _candidates(self, offers: Sequence[Proposal]) -> Indices:
        """Return new designs that are feasible for free, those of the guide first; else any."""
        for offer in offers:
            if offer.design:
                likely = _likelihood(offer.exchanges)
                self._offered[offer.design] = _larger(likely, self._offered.get(offer.design))
        offered = [np.array(self._space.encode(design)) for design in self._offered]
        best = np.argsort(-np.array(self._rewards), kind="stable")[: self._settings.climbs]
        near = [neighbours(self._space, self._rows[place]) for place in best]
        rng = self._problem.generator("guided", self._step)
        anywhere = draw(self._space, max(self._settings.pool, 1), rng)
        rows = np.vstack([*offered, *near, anywhere])
        _, first = np.unique(rows, axis=0, return_index=True)
        rows = rows[np.sort(first)]
        untried = np.array([row.tobytes() not in self._tried for row in rows])
        wanted = untried & self._prices(rows).allowed
        return rows[wanted] if wanted.any() else rows

    def _choose(
        self, candidates: Indices, believed: Sequence[tuple[Indices, float]]
    ) -> tuple[Indices, float]:
        """Return a design and its expected accuracy."""
        rows = [*self._rows, *(row for row, _ in believed)]
        accuracies = [*self._accuracies, *(mean for _, mean in believed)]
        belief = believed_accuracy(self._problem, rows, accuracies, candidates)
        value = self._settings.weight / (len(rows) + 1) * self._prior(candidates)
        if rows:  # before any result nothing is known but the prior, and of equals the first counts
            best = max(self._rewards, default=-np.inf)
            known = None if best == -np.inf else best
            price = self._prices(candidates)
            value = value + log_improvement(self._problem.scenario, price, belief, known)
        place = int(np.argmax(value))
        return candidates[place], float(belief.mean[place])

    def _prior(self, candidates: Indices) -> Floats:
        """Log likelihood by the guide, [designs]; what it did not offer, like the least likely."""
        known = [likely for likely in self._offered.values() if likely is not None]
        floor = min(known, default=0.0)
        offered = {
            np.array(self._space.encode(design)).tobytes(): likely
            for design, likely in self._offered.items()
            if likely is not None
        }
        return np.array([offered.get(row.tobytes(), floor) for row in candidates])


def believed_accuracy(
    problem: Problem, rows: Sequence[Indices], accuracies: Sequence[float], asked: Indices
) -> Belief:
    """Return what results say of the accuracy of other designs.

    A Gaussian process whose spreads are set beforehand: a handful of results could not tell them.

    Args:
        problem: the task.
        rows: designs with a result; none is enough.
        accuracies: of them.
        asked: population.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern

    kernel = (
        ConstantKernel(SPREAD**2)
        + ConstantKernel(TREND**2) * DotProduct(1.0)
        + ConstantKernel(BUMP**2) * Matern(2.0, nu=2.5)
    )
    model = GaussianProcessRegressor(kernel, alpha=NOISE**2, optimizer=None)
    if rows:
        model.fit(features(problem, np.array(rows)), np.array(accuracies) - MEAN)
    mean, std = model.predict(features(problem, asked), return_std=True)
    return Belief(np.atleast_1d(mean) + MEAN, np.maximum(np.atleast_1d(std), 1e-9))


@contextmanager
def opened(
    problem: Problem, settings: Settings, guide: AbstractContextManager[Opened]
) -> Iterator[Opened]:
    """Open the guide; what it was given, and exact costs, are given."""
    with guide as ready:
        chooser = Guided(problem, settings, ready.optimizer)  # type: ignore[arg-type]
        yield Opened(chooser, ready.model, ready.lineage, ready.given + Given(cost_model=True))


def _likelihood(exchanges: Sequence[Exchange]) -> float | None:
    return exchanges[-1].logprob if exchanges else None


def _larger(one: float | None, other: float | None) -> float | None:
    known = [likely for likely in (one, other) if likely is not None]
    return max(known, default=None)
