"""A language model proposes: Algorithm 1 and its relatives, with errors told to the model."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from cim_sim.config import Config, UsageError, load
from cim_sim.space import Design
from search.llm.choice import chosen
from search.llm.client import Client
from search.llm.connection import connected, identity
from search.llm.dialogue import hideable
from search.llm.history import Entry, entries
from search.llm.lineage import lineage_of
from search.llm.model import ModelConfig
from search.llm.prompt import (
    CAN_HIDE,
    Message,
    Style,
    answer_regex,
    render,
    require_style,
    retry_message,
)
from search.llm.reply import ReplyError, parse_reply
from search.optimizers.lookup import behind, known_designs
from search.proposal import Opened, Problem, Proposal, SearchStopped
from search.record.given import Given
from search.record.lookup import LOOKUP_TABLE
from search.record.runs import Run
from search.record.tasks import AnyTask, Task
from search.record.trace import Exchange, Failure, Trial

REPLY_SHOWN = 300
"""Characters of an unusable reply that the model sees again; the record keeps all."""


class Settings(Config):
    """How a language model is asked."""

    model: ModelConfig
    """A whole model configuration, or the path of its YAML file."""
    style: Style = "codesign"
    retries: Annotated[int, Field(ge=0)] = 2
    """How often an unusable reply is answered with its error before the slot is lost."""
    similar: Annotated[int, Field(ge=0)] = 0
    """So many designs of similar training tasks stand in the first turn of a dialogue: the first
    ones that `lookup` would propose. A blind task is similar to none, nor is the user's own."""
    table: Path = LOOKUP_TABLE
    """Where those are looked up."""

    constrained: bool = False
    """Whether the server lets the model write nothing but a design of the space; vLLM alone can."""
    value: bool = False
    """Whether each answer of a dialogue says the accuracy that the model expects of its design."""

    @model_validator(mode="after")
    def _only_a_dialogue_shows_similar_tasks_and_expects(self) -> Self:
        if self.similar and self.style != "dialogue":
            raise ValueError(f"similar: only the style dialogue shows designs, not {self.style}")
        if self.value and self.style != "dialogue":
            raise ValueError(f"value: only the style dialogue asks for it, not {self.style}")
        return self

    @field_validator("model", mode="before")
    @classmethod
    def _model_file(cls, value: Any) -> Any:
        return load(value, ModelConfig) if isinstance(value, (str, Path)) else value


def require_askable(style: Style, task: AnyTask) -> None:
    """Raise UsageError unless `style` can ask for what the space frees and tells what may be told.

    The paper's own prompts say nothing of the scenario but its network and data set.
    """
    require_style(style, task.space)
    if not task.told and style not in CAN_HIDE:
        raise UsageError(
            f"prompt style {style} tells the scenario, and task {task.name} is blind: use style "
            f"{' or '.join(CAN_HIDE)}"
        )


def asked(
    task: AnyTask, settings: Settings, similar: Sequence[Design], history: Sequence[Entry] = ()
) -> list[Message]:
    """Return the conversation that asks for the design after `history`.

    Args:
        task: a blind one is not told.
        settings: style and what belongs to it.
        similar: `known_designs` of the task.
        history: what has been tried.
    """
    hidden = () if task.told else hideable(task.scenario)
    told = partial(render, hidden=hidden, similar=similar, value=settings.value)
    return told(task.scenario, task.space, history, settings.style)


class LlmOptimizer:
    """Shows a model the scenario and what has been tried, and asks for a design.

    The designs of one batch, and all that are screened for a slot, are asked for at once, from the
    same prompt with different seeds.
    """

    def __init__(self, problem: Problem, settings: Settings, client: Client) -> None:
        require_askable(settings.style, problem.task)
        self._problem, self._settings, self._client = problem, settings, client
        self._similar = known_designs(problem.task, settings.table, settings.similar)
        space = problem.task.space
        regex = answer_regex(space, value=settings.value)
        self._constraint = {"regex": regex} if settings.constrained else None
        self._history: list[Entry] = []
        self._step = 0

    def suggest(self, count: int) -> list[Proposal]:
        """Ask for `count` designs, side by side as far as the model's `concurrency` goes.

        Raises:
            SearchStopped: the server is gone; carries the exchanges of designs that came in.
            UsageError: the server refuses, or a recorded request differs.
        """
        prompt = asked(self._problem.task, self._settings, self._similar, self._history)
        steps, draws = range(self._step, self._step + count), self._problem.draws
        self._step += count
        replies = self._replies([(step, draw) for step in steps for draw in range(draws)], prompt)
        parts = [replies[at : at + draws] for at in range(0, len(replies), draws)]
        known, proposals = {entry.design for entry in self._history}, list[Proposal]()
        for part in parts:
            proposal = chosen(part, self._problem, known)
            known |= {proposal.design} if proposal.design else set()
            proposals.append(proposal)
        return proposals

    def _replies(self, places: list[tuple[int, int]], prompt: Sequence[Message]) -> list[Proposal]:
        """Ask once for each (step, draw), side by side."""
        if len(places) == 1:
            return [self._conversation(*places[0], prompt)]
        pool = ThreadPoolExecutor(min(len(places), self._settings.model.concurrency))
        try:
            return gathered([pool.submit(self._conversation, *place, prompt) for place in places])
        except KeyboardInterrupt:
            self._client.close()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def update(self, trials: Sequence[Trial]) -> None:
        """Add what became of the last designs to the history."""
        self._history += entries(trials)

    def observe(self, trials: Sequence[Trial]) -> None:
        """Show what somebody else proposed as if the model had; its own steps come after."""
        self._step += len(trials)
        self.update(trials)

    def _conversation(self, step: int, draw: int, prompt: Sequence[Message]) -> Proposal:
        """Ask, and tell the model what is wrong, until there is a design or patience ends."""
        messages, exchanges = list(prompt), list[Exchange]()
        tries = self._settings.retries + 1
        for attempt in range(draw * tries, (draw + 1) * tries):
            try:
                seed = self._seed(step, attempt)
                exchange = self._client.complete(
                    step, attempt, messages, seed, self._constraint, weighed=self._problem.draws > 1
                )
            except SearchStopped as stop:
                raise SearchStopped(str(stop), tuple(exchanges)) from None
            reply = exchange.reply or ""
            try:
                design = parse_reply(reply, self._problem.space)
            except ReplyError as error:
                exchanges.append(exchange.model_copy(update={"error": str(error)}))
                shown: Message = {"role": "assistant", "content": reply[:REPLY_SHOWN]}
                messages += [shown, retry_message(str(error))]
            else:
                return Proposal(design, exchanges=(*exchanges, exchange))
        message = f"no design in {len(exchanges)} replies; the last: {exchanges[-1].error}"
        return Proposal(failure=Failure(kind="reply", message=message), exchanges=tuple(exchanges))

    def _seed(self, step: int, attempt: int) -> int:
        """Seed of one request: depends on the run's seed, the step and the attempt alone."""
        return int(self._problem.generator(f"request {attempt}", step).integers(2**31))


@contextmanager
def opened(problem: Problem, settings: Settings, run: Run) -> Iterator[Opened]:
    """Make the optimiser of a run, with the server that its model needs; stop that afterwards.

    The server's log goes into the run's directory; recorded exchanges are not asked again.

    Raises:
        UsageError: model, style or endpoint do not fit.
        SearchStopped: the server does not come up.
    """
    lineage = lineage_of(settings.model, problem.task)
    require_askable(settings.style, problem.task)
    model = identity(settings.model, settings.style)
    with connected(settings.model, run.path, run.exchanges.records) as client:
        given = lineage.adapter.manifest.given if lineage.adapter else Given()
        shown = settings.similar and isinstance(problem.task, Task)
        given += behind(settings.table) if shown else Given()
        yield Opened(LlmOptimizer(problem, settings, client), model, lineage, given)


def gathered(futures: Sequence["Future[Proposal]"]) -> list[Proposal]:
    """Return the proposals in order, or stop with every exchange that came in.

    Raises:
        SearchStopped: at least one conversation met a dead server.
        UsageError: likewise for a refusal; the earliest failure is raised.
    """
    failures = [error for future in futures if (error := future.exception())]
    if not failures:
        return [future.result() for future in futures]
    if not isinstance(failures[0], SearchStopped):
        raise failures[0]
    exchanges: list[Exchange] = []
    for future in futures:
        error = future.exception()
        exchanges += error.exchanges if isinstance(error, SearchStopped) else ()
        exchanges += future.result().exchanges if error is None else ()
    raise SearchStopped(str(failures[0]), tuple(exchanges))
