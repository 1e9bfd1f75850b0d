"""Greybox that knows its field: where good designs lay elsewhere, and how much accuracy varies.

`greybox` spends its first ten episodes on random designs, to learn how accuracy spreads. Here those
spreads are set beforehand, so that the first result already counts, and what `lookup` recalls from
training tasks stands among the candidates, beside neighbours of the best designs so far and random
ones. Costs are exact, and the highest expected improvement is evaluated.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from cim_sim.config import Config
from cim_sim.types import Count, Floats, Indices
from search.landscape import draw, neighbours, prices
from search.optimizers.acquisition import Belief, features, log_improvement
from search.optimizers.lookup import behind, buildable
from search.proposal import Problem, Proposal
from search.record.given import Given
from search.record.lookup import LOOKUP_TABLE
from search.record.trace import Trial

MEAN = 0.6
"""Accuracy before any result is about this."""
NOISE = 0.01
"""Standard deviation of one training."""


class Spreads(NamedTuple):
    """Standard deviations of what is not known of accuracy before any result.

    The trend is taken over features that do not lie around zero, so it moves all designs together
    as well: what is expected of any design strays by about .4 before the first result.
    """

    constant: float = 0.1
    """Of all designs together."""
    trend: float = 0.05
    """Of the slope per feature."""
    bump: float = 0.05
    """Of a smooth deviation from that."""


class Settings(Config):
    """Where candidates come from."""

    table: Path = LOOKUP_TABLE
    """Made by `python -m search lookup-table`."""
    recalled: Annotated[int, Field(ge=0)] = 64
    """So many designs of training tasks, as `lookup` orders them: the first that are feasible for
    free."""
    pool: Count = 500
    """Random designs, drawn anew for each step."""
    climbs: Count = 4
    """Best designs so far whose neighbours are candidates."""


class Informed:
    """Expected improvement with exact costs, from the first result on."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self._problem, self._settings = problem, settings
        self._space = problem.chip.space
        self._prices = partial(prices, problem.scenario, self._space)
        self._recalled = buildable(problem, settings.table, settings.recalled)
        self._tried: set[bytes] = set()
        self._rows: list[Indices] = []
        """Designs whose accuracy is known."""
        self._accuracies: list[float] = []
        self._rewards: list[float] = []
        """Likewise; -inf where the least accuracy is missed."""
        self._step = 0

    def suggest(self, count: int) -> list[Proposal]:
        """Propose the designs that promise most; within a batch, the mean is believed."""
        believed: list[tuple[Indices, float]] = []
        for _ in range(count):
            row, mean = self._choose(self._candidates(), believed)
            believed.append((row, mean))
            self._tried.add(row.tobytes())
            self._step += 1
        return [Proposal(self._space.decode(row.tolist())) for row, _ in believed]

    def update(self, trials: Sequence[Trial]) -> None:
        """Learn accuracies, also of designs that miss the least accuracy."""
        for trial in trials:
            if trial.design and trial.evaluation and trial.evaluation.accuracy:
                self._rows.append(np.array(self._space.encode(trial.design)))
                self._accuracies.append(trial.evaluation.accuracy.mean)
                reward = trial.evaluation.reward
                self._rewards.append(-np.inf if reward is None else reward)

    def observe(self, trials: Sequence[Trial]) -> None:
        """Learn from designs that somebody else proposed; they count as tried."""
        designs = [trial.design for trial in trials if trial.design and trial.evaluation]
        self._tried |= {np.array(self._space.encode(design)).tobytes() for design in designs}
        self.update(trials)

    def _candidates(self) -> Indices:
        """Return new designs that are feasible for free, the recalled ones first; else any."""
        best = np.argsort(-np.array(self._rewards), kind="stable")[: self._settings.climbs]
        near = [neighbours(self._space, self._rows[place]) for place in best]
        rng = self._problem.generator("informed", self._step)
        rows = np.vstack([self._recalled, *near, draw(self._space, self._settings.pool, rng)])
        untried = np.array([row.tobytes() not in self._tried for row in rows])
        wanted = untried & self._prices(rows).allowed
        return rows[wanted] if wanted.any() else rows

    def _choose(
        self, candidates: Indices, believed: Sequence[tuple[Indices, float]]
    ) -> tuple[Indices, float]:
        """Return a design and its expected accuracy; before any result, the first one."""
        if not (self._rows or believed):
            return candidates[0], MEAN
        rows = [*self._rows, *(row for row, _ in believed)]
        accuracies = [*self._accuracies, *(mean for _, mean in believed)]
        belief = believed_accuracy(self._problem, rows, accuracies, candidates)
        best = max(self._rewards, default=-np.inf)
        known = None if best == -np.inf else best
        price = self._prices(candidates)
        value = log_improvement(self._problem.scenario, price, belief, known)
        # Where nothing is feasible for free some have no price at all.
        place = int(np.argmax(np.nan_to_num(value, nan=-np.inf)))
        return candidates[place], float(belief.mean[place])


def given(settings: Settings) -> Given:
    """Return what stands behind the table, and that it computes costs."""
    return behind(settings.table) + Given(cost_model=True)


def believed_accuracy(
    problem: Problem, rows: Sequence[Indices], accuracies: Sequence[float], asked: Indices
) -> Belief:
    """Return what results say of the accuracy of other designs.

    Args:
        problem: the task.
        rows: designs with a result, at least one.
        accuracies: of them.
        asked: population.
    """
    off = deviation(problem, np.array(rows), np.array(accuracies) - MEAN, asked, Spreads())
    return Belief(off.mean + MEAN, off.std)


def deviation(
    problem: Problem, rows: Indices, values: Floats, asked: Indices, spreads: Spreads
) -> Belief:
    """Return what deviations from a first belief of accuracy say of those of other designs.

    A Gaussian process whose spreads are set beforehand: a handful of results could not tell them.

    Args:
        problem: the task.
        rows: designs with a result, at least one.
        values: how far they were off.
        asked: population.
        spreads: of the deviations.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern

    kernel = (
        ConstantKernel(spreads.constant**2)
        + ConstantKernel(spreads.trend**2) * DotProduct(1.0)
        + ConstantKernel(spreads.bump**2) * Matern(2.0, nu=2.5)
    )
    model = GaussianProcessRegressor(kernel, alpha=NOISE**2, optimizer=None)
    model.fit(features(problem, rows), values)
    mean, std = model.predict(features(problem, asked), return_std=True)
    return Belief(np.atleast_1d(mean), np.maximum(np.atleast_1d(std), 1e-9))
