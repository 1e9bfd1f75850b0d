"""The adapter to Optuna: ask for a design, tell what became of it.

Optuna's samplers keep what they know in a study; it lives in memory and is rebuilt by replaying
the same asks and tells. Numeric choices are given by their rank, so that neighbours are close.
"""

from collections.abc import Sequence
from typing import Any

from cim_sim.evaluate import Evaluation
from cim_sim.scenario import Limits
from cim_sim.space import Parameter
from search.proposal import Problem, Proposal
from search.record.tasks import AnyTask, Task
from search.record.trace import Trial

NO_FLOORPLAN = 1.0
"""Violation of a design without a floorplan; the others are relative to their limit."""


class OptunaSearch:
    """Any Optuna sampler as an optimiser; floorplan, area and least accuracy are constraints."""

    def __init__(self, problem: Problem, sampler: Any, memory: int | None = None) -> None:
        """Begin a study.

        Args:
            problem: what is searched.
            sampler: Optuna's, seeded with `seed_of` the problem.
            memory: trials that the sampler may look at; beyond it the oldest chips that failed
                are forgotten, and no design that was measured. None: all.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.problem = problem
        self.limits = limits_of(problem.task) if problem.task.told else None
        """None: not told, or the user's own."""
        self.distributions = {p.name: _distribution(p) for p in problem.space.parameters}
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self.memory = memory
        self._asked: list[Any] = []
        """Optuna's own trials behind the last `suggest`."""
        self._worst: float | None = None
        """Lowest reward of a feasible design so far."""

    def suggest(self, count: int) -> list[Proposal]:
        """Ask the sampler."""
        self._forget()
        self._asked = [self.study.ask(self.distributions) for _ in range(count)]
        return [Proposal(design=self._design(trial.params)) for trial in self._asked]

    def update(self, trials: Sequence[Trial]) -> None:
        """Tell rewards and violations; what has no evaluation is told as failed."""
        for asked, trial in zip(self._asked, trials, strict=True):
            self._tell(asked, trial)

    def observe(self, trials: Sequence[Trial]) -> None:
        """Learn from designs that somebody else proposed: ask for just these, and tell."""
        for trial in trials:
            if trial.design is not None:
                indices = self.problem.space.encode(trial.design)
                names = [parameter.name for parameter in self.problem.space.parameters]
                self.study.enqueue_trial(dict(zip(names, indices, strict=True)))
                self._tell(self.study.ask(self.distributions), trial)

    def _forget(self) -> None:
        """Begin a new study with what the sampler shall remember, if there is too much."""
        import optuna

        if self.memory is None:
            return
        complete = (optuna.trial.TrialState.COMPLETE,)
        trials = self.study.get_trials(deepcopy=False, states=complete)
        if len(trials) <= self.memory:
            return
        measured = [trial for trial in trials if trial.constraints["chip"] <= 0]
        failed = [trial for trial in trials if trial.constraints["chip"] > 0]
        newest = failed[len(failed) - max(self.memory - len(measured), 0) :]
        self.study = optuna.create_study(direction="maximize", sampler=self.study.sampler)
        self.study.add_trials(sorted([*measured, *newest], key=lambda trial: trial.number))

    def _design(self, params: dict[str, int]) -> Any:
        space = self.problem.space
        return space.decode([params[parameter.name] for parameter in space.parameters])

    def _tell(self, asked: Any, trial: Trial) -> None:
        from optuna.trial import TrialState

        if trial.evaluation is None:
            self.study.tell(asked, state=TrialState.FAIL)
            return
        for name, value in violations(trial.evaluation, self.limits).items():
            asked.set_constraint(name, value)
        self.study.tell(asked, self._value(trial))

    def _value(self, trial: Trial) -> float:
        """Return the reward. An infeasible design has none: the worst reward seen stands in.

        Optuna ranks infeasible designs by their violation; only the GP reads this value, and the
        paper's -1 would be a cliff to it right where the best designs lie.
        """
        reward = trial.evaluation.reward if trial.evaluation else None
        if reward is None:
            return 0.0 if self._worst is None else self._worst
        self._worst = reward if self._worst is None else min(self._worst, reward)
        return reward


def seed_of(problem: Problem) -> int:
    """Return the seed of a sampler."""
    return int(problem.generator("optuna", 0).integers(2**31))


def limits_of(task: AnyTask) -> Limits | None:
    """Return the limits of a task; None: it is the user's own, whose evaluator alone knows them."""
    return task.scenario.limits if isinstance(task, Task) else None


def violations(evaluation: Evaluation, limits: Limits | None) -> dict[str, float]:
    """How far a design is beyond each limit of a scenario, at most 0 where it keeps it.

    Where limits are not known it is known that one is missed, not by how much or which.
    Floorplan and area are one constraint, so that the GP sampler models as few as it can. An
    accuracy that was not measured, because the chip had failed already, stands at its limit.
    """
    if limits is None:
        return {"chip": 0.0 if evaluation.infeasible is None else NO_FLOORPLAN}
    price, found = evaluation.cost, {}
    if price is None:
        found["chip"] = NO_FLOORPLAN
    else:
        found["chip"] = limits.area_excess(price.area_um2)
    if limits.accuracy is not None:
        accuracy = evaluation.accuracy.mean if evaluation.accuracy else limits.accuracy_bar
        found["accuracy"] = 1 - accuracy / limits.accuracy_bar
    return found


def _distribution(parameter: Parameter) -> Any:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    count = len(parameter.choices)
    if parameter.ranked:
        return IntDistribution(0, count - 1)
    return CategoricalDistribution(tuple(range(count)))
