"""The evaluator of a problem: the exact cost model, with accuracy trained or predicted.

Or the user's own (`search.evaluators.own`).
"""

from functools import partial
from hashlib import sha256
from pathlib import Path

from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.config import digest
from cim_sim.evaluate import Evaluator
from cim_sim.identity import simulator_digest
from cim_sim.own import AnyScenario, AnySpace
from cim_sim.paths import ACCURACY_CACHE
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from search import proposal
from search.evaluators.own import own_evaluator
from search.record.judge import Judge
from search.record.manifest import Digests
from search.record.tasks import Task, task_of


def build(
    scenario: AnyScenario,
    space: AnySpace,
    judge: Judge,
    cache: Path = ACCURACY_CACHE,
    workers: int = 1,
) -> proposal.Evaluator:
    """Return the evaluator of a problem.

    Args:
        scenario: what is fixed.
        space: what is free.
        judge: who says what a design is worth; the configuration of a run or sweep is one.
        cache: where trained accuracies are kept; a surrogate needs none.
        workers: processes that train, or commands of the user's own that run side by side.

    Raises:
        UsageError: scenario, space and judge do not fit, or the evaluator is not there.
    """
    task = task_of(space, scenario)
    judge.require_judges(task)
    if not isinstance(task, Task):
        return own_evaluator(task, judge, workers)
    return of_chips(task.scenario, task.space, judge, cache, workers)


def of_chips(
    scenario: Scenario,
    space: Space,
    judge: Judge,
    cache: Path = ACCURACY_CACHE,
    workers: int = 1,
) -> Evaluator:
    """Return the evaluator of a problem of this simulator; arguments and errors as in `build`."""
    scenario.require_fits(space)
    if judge.evaluator == "surrogate":
        return Evaluator(scenario, space, surrogate.load().answer, judge.accuracy_seed)
    from cim_sim.accuracy.trained import measure_many

    source = partial(measure_many, cache=cache, workers=workers)
    return Evaluator(scenario, space, source, judge.accuracy_seed)


def digests(scenario: AnyScenario, space: AnySpace, judge: Judge) -> Digests:
    """Return what identifies a problem and its judge."""
    own = not isinstance(judge.evaluator, str)
    identity = judge.model_dump(include={"evaluator"}) | {"seed": judge.accuracy_seed}
    if judge.evaluator == "surrogate":
        identity["fit"] = sha256(surrogate.FITTED.read_bytes()).hexdigest()
    return Digests(
        scenario=scenario.digest,
        space=digest(space),
        evaluator=digest(identity),
        simulator="own" if own else simulator_digest(),
    )
