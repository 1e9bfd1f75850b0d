"""What `lookup` recalls, in the order in which a language model expects it to serve this task.

The model is a regression here (`judged.py`) and proposes nothing of its own; `warm` lets a search
go on from it.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Self

import numpy as np
from pydantic import model_validator

from cim_sim.space import Design
from cim_sim.types import Count, Indices, Natural
from search.llm.client import Client
from search.llm.connection import connected, identity
from search.llm.foreseen import expectation
from search.llm.lineage import lineage_of
from search.llm.prompt import Style
from search.llm.weighing import question, weigh
from search.optimizers import llm
from search.optimizers.judged import RECALLED, Expected, Judged
from search.optimizers.lookup import behind, buildable, known_designs
from search.proposal import Opened, Problem, Proposal
from search.record.given import Given
from search.record.runs import Run


class Settings(llm.Settings):
    """How the model is asked, and about how many designs."""

    style: Style = "dialogue"
    similar: Natural = 4
    constrained: bool = True
    value: bool = True
    recalled: Count = RECALLED
    """Designs of training tasks that it weighs: the first ones of `lookup` that are feasible for
    free."""

    @model_validator(mode="after")
    def _says_what_it_expects(self) -> Self:
        if not (self.value and self.constrained):
            raise ValueError("ranked asks what a model expects: leave value and constrained true")
        return self


class Weigher:
    """A language model that says once what accuracy it expects of each recalled design."""

    def __init__(self, problem: Problem, settings: Settings, client: Client, rows: Indices) -> None:
        """`rows` are the designs, [designs, parameters]."""
        self._problem, self._settings, self._client = problem, settings, client
        self._designs = [problem.chip.space.decode(row.tolist()) for row in rows]
        self._similar = known_designs(problem.task, settings.table, settings.similar)

    def asked(self) -> Expected:
        """Ask the model of each design, side by side.

        Raises:
            SearchStopped: the server is gone; carries the expectations that came in.
            UsageError: the server does not hold the model to a form, or refuses.
        """
        pool = ThreadPoolExecutor(self._settings.model.concurrency)
        try:
            futures = [pool.submit(self._weighing, *one) for one in enumerate(self._designs)]
            weighings = llm.gathered(futures)
        except KeyboardInterrupt:
            self._client.close()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        exchanges = tuple(exchange for one in weighings for exchange in one.exchanges)
        accuracy = np.array([expectation(exchange) for exchange in exchanges], dtype=float)
        return Expected(accuracy, exchanges)

    def _weighing(self, place: int, design: Design) -> Proposal:
        """Return a recalled design with the one exchange that says what is expected of it."""
        seed = int(self._problem.generator(f"request {place}", 0).integers(2**31))
        asked = question(self._problem.chip, design, self._similar)
        return Proposal(design, exchanges=(weigh(self._client, place, asked, seed),))


@contextmanager
def opened(problem: Problem, settings: Settings, run: Run) -> Iterator[Opened]:
    """Make the optimiser of a run, with the server that its model needs; stop that afterwards.

    Raises:
        UsageError: model, style or endpoint do not fit, or the task is blind or the user's own.
        SearchStopped: the server does not come up.
    """
    rows = buildable(problem, settings.table, settings.recalled)
    lineage = lineage_of(settings.model, problem.task)
    model = identity(settings.model, settings.style)
    with connected(settings.model, run.path, run.exchanges.records) as client:
        given = lineage.adapter.manifest.given if lineage.adapter else Given()
        given += behind(settings.table) + Given(cost_model=True)
        weigher = Weigher(problem, settings, client, rows)
        yield Opened(Judged(problem, rows, weigher.asked), model, lineage, given)
