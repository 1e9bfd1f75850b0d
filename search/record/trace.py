"""What a run records: trials and exchanges, one line of JSON each."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from cim_sim.config import Config
from cim_sim.evaluate import INFEASIBLE_REWARD, Evaluation
from cim_sim.space import Design


class Failure(Config):
    """Why a slot of the budget has no evaluation. Infeasible is not a failure."""

    kind: Literal["reply", "server", "crash", "timeout"]
    """`reply`: unparseable after all retries; `server`: no answer; the rest: the evaluator's."""
    message: str


def failed(error: Exception) -> Failure:
    """Return the failure of an evaluator that raised an error."""
    late = isinstance(error, TimeoutError)
    return Failure(kind="timeout" if late else "crash", message=f"{type(error).__name__}: {error}")


class Exchange(Config):
    """What was sent to a model and what came back, whole."""

    step: int
    """Counts the optimiser's proposals; without screening that is the trial's step."""
    attempt: int
    """0 for the first request of a step; later ones carry the error back to the model."""
    request: dict[str, Any]
    """Messages, model, and every sampling field, seed included."""
    reply: str | None = None
    finish_reason: str | None = None
    usage: dict[str, int] = Field(default_factory=dict)
    expected: float | None = None
    """Accuracy that the model expects of its design, where it was asked."""
    logprob: float | None = None
    """How likely the model found its design, likewise."""
    weighed: Design | None = None
    """Design that somebody else proposes, which the model was asked about; None: its own."""
    error: str | None = None
    """Why this reply was not a design, in the words the model is told; None when it was."""
    started_at: str
    seconds: float


class Trial(Config):
    """One slot of the budget: a proposed design and what became of it, evaluation or failure."""

    step: int
    design: Design | None = None
    evaluation: Evaluation | None = None
    failure: Failure | None = None
    duplicate_of: int | None = None
    """Step of the first trial with this design; its evaluation was copied."""
    screened: int = 0
    """Proposals that the free screening passed over before this one (`--screen`)."""
    started_at: str
    seconds: float
    passed_over: bool = Field(default=False, exclude=True)
    """What an optimiser is told of a proposal that the free screening passed over: no episode."""

    @model_validator(mode="after")
    def _one_outcome(self) -> Self:
        if (self.evaluation is None) == (self.failure is None):
            raise ValueError(f"step {self.step}: a trial has either an evaluation or a failure")
        if self.evaluation and self.evaluation.design != self.design:
            raise ValueError(f"step {self.step}: the evaluation is of another design")
        return self

    @property
    def score(self) -> float:
        """Reward; the paper's -1 for what is infeasible or failed."""
        return INFEASIBLE_REWARD if self.evaluation is None else self.evaluation.score

    @property
    def feasible(self) -> bool:
        """Whether it has a reward."""
        return self.evaluation is not None and self.evaluation.reward is not None


UNTIMED: dict[str, Any] = {"started_at": "", "seconds": 0.0}
"""Replaces the fields in which an unbroken and a resumed run may differ."""
