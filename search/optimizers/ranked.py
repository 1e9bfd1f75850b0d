"""What `lookup` recalls, in the order in which a language model expects it to serve this task.

Costs are exact and free, accuracy is not: the model says once what it expects of each recalled
design. That is the first belief. How far it was off where results have come in corrects it
elsewhere, by a Gaussian process over the errors, and the greatest expected improvement is next. The
model is a regression here and proposes nothing of its own; `warm` lets a search go on from it.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Self

import numpy as np
from pydantic import model_validator

from cim_sim.config import UsageError
from cim_sim.evaluate import INFEASIBLE_REWARD
from cim_sim.space import Design
from cim_sim.types import Count, Floats, Indices
from search.landscape import prices
from search.llm.client import Client
from search.llm.connection import connected, identity
from search.llm.dialogue import EXPECTED
from search.llm.foreseen import expectation
from search.llm.lineage import lineage_of
from search.llm.prompt import Message, Style, answer
from search.optimizers import llm
from search.optimizers.acquisition import Belief, log_improvement
from search.optimizers.informed import Spreads, deviation
from search.optimizers.lookup import Settings as LookupSettings
from search.optimizers.lookup import behind, drawn, known_designs, recalled, solved_tasks
from search.proposal import Opened, Problem, Proposal
from search.record.given import Given
from search.record.runs import Run
from search.record.trace import Exchange, Trial

ERROR = 0.06
"""Standard deviation by which a tuned model's first expectation is off, on tasks it did not see."""
SPREADS = Spreads(constant=0.04, trend=0.02, bump=0.04)
"""Of those errors: for all designs together, per feature, and of a smooth deviation from that."""


class Settings(llm.Settings):
    """How the model is asked, and about how many designs."""

    style: Style = "dialogue"
    constrained: bool = True
    value: bool = True
    recalled: Count = 64
    """Designs of training tasks that it weighs: the first ones of `lookup` that are feasible for
    free."""

    @model_validator(mode="after")
    def _says_what_it_expects(self) -> Self:
        if not (self.value and self.constrained):
            raise ValueError("ranked asks what a model expects: leave value and constrained true")
        return self


class Ranked:
    """Proposes recalled designs by expected improvement; when they are at an end, random ones."""

    def __init__(self, problem: Problem, settings: Settings, client: Client, rows: Indices) -> None:
        """`rows` are what the model weighs, [designs, parameters]: see `weighed`."""
        self._problem, self._settings, self._client = problem, settings, client
        self._rows = rows
        self._price = prices(problem.scenario, problem.chip.space, self._rows)
        self._expected: Floats | None = None
        """Accuracy, [designs]; None: not asked yet."""
        self._left = np.ones(len(self._rows), dtype=bool)
        """Of the recalled designs those that nobody tried, [designs]."""
        self._found: dict[int, float] = {}
        """Accuracies by place."""
        self._best = INFEASIBLE_REWARD
        self._step = 0

    def suggest(self, count: int) -> list[Proposal]:
        """Return the next designs; within a batch the second best follows the best.

        Raises:
            SearchStopped: the server is gone; carries the expectations that came in.
            UsageError: the server does not hold the model to a form, or refuses.
        """
        exchanges = self._asked() if self._expected is None else ()
        proposals = []
        for design in self._next(count):
            proposals.append(Proposal(design, exchanges=exchanges))
            exchanges = ()
        return proposals

    def update(self, trials: Sequence[Trial]) -> None:
        """Learn how far the expectations were off, also of designs that somebody else tried."""
        places = {row.tobytes(): place for place, row in enumerate(self._rows)}
        for trial in trials:
            self._best = max(self._best, trial.score)
            row = np.array(self._problem.space.encode(trial.design)) if trial.design else None
            place = None if row is None else places.get(row.tobytes())
            if place is not None:
                self._left[place] = False
                if trial.evaluation and trial.evaluation.accuracy:
                    self._found[place] = trial.evaluation.accuracy.mean

    def _next(self, count: int) -> Iterator[Design]:
        space, order = self._problem.chip.space, np.argsort(-self._promise(), kind="stable")
        chosen = [place for place in order if self._left[place]][:count]
        for place in chosen:
            self._left[place] = False
            yield space.decode(self._rows[place].tolist())
        self._step += count
        for step in range(self._step - count + len(chosen), self._step):
            yield drawn(self._problem, step)

    def _promise(self) -> Floats:
        """Return the log of the expected improvement, [designs]."""
        believed = self._belief()
        return log_improvement(self._problem.scenario, self._price, believed, self._best)

    def _belief(self) -> Belief:
        assert self._expected is not None
        if not self._found:
            return Belief(self._expected, np.full(len(self._rows), ERROR))
        tried = np.array(list(self._found), dtype=np.int64)
        errors = np.array(list(self._found.values())) - self._expected[tried]
        off = deviation(self._problem, self._rows[tried], errors, self._rows, SPREADS)
        return Belief(self._expected + off.mean, off.std)

    def _asked(self) -> tuple[Exchange, ...]:
        """Ask the model of each recalled design, side by side."""
        task, settings = self._problem.task, self._settings
        similar = known_designs(task, settings.table, settings.similar)
        prompt = llm.asked(task, settings, similar)
        pool = ThreadPoolExecutor(settings.model.concurrency)
        try:
            places = range(len(self._rows))
            futures = [pool.submit(self._weighing, place, prompt) for place in places]
            weighings = llm.gathered(futures)
        except KeyboardInterrupt:
            self._client.close()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        exchanges = tuple(exchange for one in weighings for exchange in one.exchanges)
        self._expected = np.array([expectation(exchange) for exchange in exchanges], dtype=float)
        return exchanges

    def _weighing(self, place: int, prompt: Sequence[Message]) -> Proposal:
        """Return a recalled design with the one exchange that says what is expected of it."""
        design = self._problem.chip.space.decode(self._rows[place].tolist())
        text = answer(design)
        held = {"regex": re.escape(text) + EXPECTED}
        seed = int(self._problem.generator(f"request {place}", 0).integers(2**31))
        exchange = self._client.complete(0, place, prompt, seed, held, weighed=True)
        if not (exchange.reply or "").startswith(text) or expectation(exchange) is None:
            raise UsageError(
                f"model {self._settings.model.name} replied {exchange.reply!r:.60} and was held to "
                f"{text} and an accuracy: ranked needs vLLM, as path in a model configuration has"
            )
        return Proposal(design, exchanges=(exchange,))


@contextmanager
def opened(problem: Problem, settings: Settings, run: Run) -> Iterator[Opened]:
    """Make the optimiser of a run, with the server that its model needs; stop that afterwards.

    Raises:
        UsageError: model, style or endpoint do not fit, or the task is blind or the user's own.
        SearchStopped: the server does not come up.
    """
    rows = weighed(problem, settings)
    lineage = lineage_of(settings.model, problem.task)
    model = identity(settings.model, settings.style)
    with connected(settings.model, run.path, run.exchanges.records) as client:
        given = lineage.adapter.manifest.given if lineage.adapter else Given()
        given += behind(settings.table) + Given(cost_model=True)
        yield Opened(Ranked(problem, settings, client, rows), model, lineage, given)


def weighed(problem: Problem, settings: Settings) -> Indices:
    """Return the first recalled designs that are feasible for free, [designs, parameters].

    Raises:
        UsageError: the task is blind, or the user's own.
    """
    space = problem.chip.space
    designs = recalled(problem.chip, solved_tasks(settings.table), LookupSettings().nearest)
    found: list[Indices] = []
    while len(found) < settings.recalled and (part := list(islice(designs, settings.recalled))):
        rows = np.array([space.encode(design) for design in part], dtype=np.int64)
        found += list(rows[prices(problem.scenario, space, rows).allowed])
    rows = np.array(found[: settings.recalled], dtype=np.int64)
    return rows.reshape(-1, len(space.parameters))
