"""Who judges the designs of a run: this simulator, or an evaluator that the user brings."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from cim_sim.config import Config, UsageError
from cim_sim.types import Natural
from search.record.tasks import AnyTask, OwnTask


def _function_name(name: str) -> str:
    if not re.fullmatch(r"\w+(\.\w+)*:\w+", name):
        raise ValueError(f"expected package.module:function, found {name!r:.80}")
    return name


FunctionName = Annotated[str, AfterValidator(_function_name)]
"""`package.module:function`, found from the current directory or among installed packages."""


class PythonEvaluator(Config):
    """A function of the user's own, called in this process."""

    python: FunctionName
    """Takes design, facts and seed; returns an answer, see `search.evaluators.own.Answer`."""
    screen: FunctionName | None = None
    """Likewise, free of charge: says at least what is infeasible."""
    version: str | None = None
    """Part of the identity of the evaluator: to be changed when it answers otherwise."""

    @property
    def words(self) -> str:
        """Name it in a line."""
        return f"python {self.python}"


class CommandEvaluator(Config):
    """A program of the user's own: a question in JSON on stdin, the answer as last line of stdout.

    No shell stands between; it runs in the current directory.
    """

    command: Annotated[str, Field(min_length=1)]
    screen: str | None = None
    """Words added to the command, which then answers free of charge."""
    version: str | None = None
    """As of `PythonEvaluator`."""
    timeout_s: Annotated[float, Field(gt=0)] = 600.0
    retries: Natural = 0
    """How often it is started again after a crash or timeout."""

    @property
    def words(self) -> str:
        """Name it in a line."""
        return f"command {self.command}"


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "(command)" if "command" in value else "(python)"
    if isinstance(value, PythonEvaluator):
        return "(python)"
    return "(command)" if isinstance(value, CommandEvaluator) else "(built in)"


EvaluatorField = Annotated[
    Annotated[Literal["trained", "surrogate"], Tag("(built in)")]
    | Annotated[PythonEvaluator, Tag("(python)")]
    | Annotated[CommandEvaluator, Tag("(command)")],
    Discriminator(_kind),
]


class Judge(Config):
    """Who says what a design is worth."""

    evaluator: EvaluatorField = "trained"
    """Accuracy really trained, or predicted; or an evaluator of the user's own."""
    accuracy_seed: Natural = 0
    """Seed of the accuracy experiment: the arms of a comparison share it. An evaluator of the
    user's own is handed it."""

    def require_judges(self, task: AnyTask) -> None:
        """Raise UsageError when the evaluator is the user's own and the task is not, or reverse."""
        given, own = not isinstance(self.evaluator, str), isinstance(task, OwnTask)
        if given and not own:
            raise UsageError(
                f"scenario {task.name}: evaluator {self.judged_by} is your own, and judges only "
                "scenarios and spaces of your own; type evaluator: trained or surrogate"
            )
        if own and not given:
            raise UsageError(
                f"scenario {task.name} is your own, which evaluator {self.judged_by} cannot judge; "
                "write evaluator: {python: package.module:function} or {command: ./simulator} into "
                "the file that you give with --config"
            )

    @property
    def judged_by(self) -> str:
        """Name the evaluator in a line."""
        return self.evaluator if isinstance(self.evaluator, str) else self.evaluator.words
