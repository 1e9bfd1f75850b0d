"""An evaluator that the user brings: a Python function, or a command that speaks JSON.

The question is what was chosen, the facts of the scenario, and a seed:

    {"design": {"tile": 8, "dataflow": "ws"}, "facts": {"rows": 128}, "seed": 0}

The answer is a reward or a reason why there is none, and numbers that are kept beside it:

    {"reward": 0.83, "measured": {"cycles": 51200}}      {"infeasible": "tile exceeds the buffer"}
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from cim_sim.config import Config
from cim_sim.evaluate import Evaluation, Infeasible, Reward
from cim_sim.space import Design
from search.evaluators.command import answer_of, require_program, words_of
from search.evaluators.function import function_of
from search.record.judge import Judge, PythonEvaluator
from search.record.tasks import OwnTask
from search.record.trace import Failure, failed

Question = Mapping[str, Any]
"""`design`, `facts` and `seed`, by name."""
Ask = Callable[[Question], Any]
"""Answers in plain data; raises what it likes."""


def _utf8(text: str) -> str:
    text.encode()  # lone halves of a pair cannot be written; their error is a ValueError
    return text


Reason = Annotated[str, Field(min_length=1, max_length=10_000), AfterValidator(_utf8)]
Label = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_utf8)]
"""Of a number."""


EXPECTED = (
    'expected an object like {"reward": 0.8, "measured": {"cycles": 512}} or {"infeasible": "why"}'
)


class Answer(Config):
    """What an evaluator of the user's own says of a design."""

    reward: Reward | None = None
    """Higher is better."""
    infeasible: Reason | None = None
    """Why there is no reward."""
    measured: Annotated[dict[Label, float], Field(max_length=1000)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.reward is not None and self.infeasible is not None:
            raise ValueError("a reward or why it is infeasible, not both")
        return self


class BadAnswer(Exception):
    """What came back is no answer."""


class OwnEvaluator(NamedTuple):
    """Asks for one design after the other, or for several side by side."""

    task: OwnTask
    seed: int
    ask: Ask
    ask_free: Ask | None
    """None: nothing is known for free."""
    workers: int
    stopped: Event
    """Set once Ctrl-C ends the search: no program goes on or begins."""

    def screen(self, designs: Sequence[Design]) -> list[Evaluation]:
        """Ask what is known for free; a crash says nothing, and comes again in `evaluate`.

        Raises:
            UsageError: a design lies outside the space.
        """
        for design in designs:
            self.task.space.require(design)
        return [self._screened(design) for design in designs]

    def evaluate(self, designs: Sequence[Design]) -> list[Evaluation | Failure]:
        """Screen, then ask about what is left; what fails does so by itself.

        Raises:
            UsageError: a design lies outside the space.
        """
        for design in designs:
            self.task.space.require(design)
        if min(self.workers, len(designs)) < 2:  # no pool, so that Ctrl-C ends the program at once
            return [self._outcome(design) for design in designs]
        with ThreadPoolExecutor(min(self.workers, len(designs))) as pool:
            try:
                return list(pool.map(self._outcome, designs))
            except BaseException:
                self.stopped.set()
                raise

    def _screened(self, design: Design) -> Evaluation:
        with suppress(Exception):
            return self._answer(design, free=True)
        return Evaluation(design=design, scenario=self.task.scenario.digest)

    def _outcome(self, design: Design) -> Evaluation | Failure:
        try:
            screened = self._answer(design, free=True)
            return screened if screened.infeasible else self._answer(design, free=False)
        except Exception as error:
            return failed(error)

    def _answer(self, design: Design, *, free: bool) -> Evaluation:
        found = Answer()
        ask = self.ask_free if free else self.ask
        if ask:
            facts = dict(self.task.scenario.facts)
            question = {"design": design.wire(), "facts": facts, "seed": self.seed}
            found = read_answer(ask(question))
        if not free and found.reward is None and found.infeasible is None:
            raise BadAnswer(f"neither a reward nor why there is none; {EXPECTED}")
        fault = Infeasible(kind="own", reason=found.infeasible) if found.infeasible else None
        return Evaluation(
            design=design,
            scenario=self.task.scenario.digest,
            reward=None if free else found.reward,
            infeasible=fault,
            measured=found.measured,
        )


def read_answer(data: Any) -> Answer:
    """Read plain data as an answer.

    Raises:
        BadAnswer: it is none; says all that is wrong.
    """
    try:
        return Answer.model_validate(data)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))} {one['msg']}" for one in error.errors()[:4]]
        said = "; ".join(fault.strip() for fault in faults)
        raise BadAnswer(f"{data!r:.200} is no answer: {said}; {EXPECTED}") from None


def own_evaluator(task: OwnTask, judge: Judge, workers: int = 1) -> OwnEvaluator:
    """Return the evaluator that a configuration names.

    Raises:
        UsageError: there is no such function or program.
    """
    given, stopped = judge.evaluator, Event()
    assert not isinstance(given, str)
    if isinstance(given, PythonEvaluator):
        free = function_of(given.screen) if given.screen else None
        # One at a time: nobody knows whether the user's code may run beside itself.
        ask = function_of(given.python)
        return OwnEvaluator(task, judge.accuracy_seed, ask, free, 1, stopped)
    words = words_of(given.command)
    require_program(words)
    run = partial(answer_of, timeout_s=given.timeout_s, retries=given.retries, stopped=stopped)
    free = partial(run, [*words, *words_of(given.screen)]) if given.screen else None
    return OwnEvaluator(task, judge.accuracy_seed, partial(run, words), free, workers, stopped)
