"""The evaluator of a problem: the exact cost model, with accuracy trained or predicted."""

from functools import partial
from hashlib import sha256
from pathlib import Path

from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.config import digest
from cim_sim.evaluate import Evaluator
from cim_sim.identity import simulator_digest
from cim_sim.paths import ACCURACY_CACHE
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from search.record.manifest import Digests, Judge


def build(
    scenario: Scenario,
    space: Space,
    judge: Judge,
    cache: Path = ACCURACY_CACHE,
    workers: int = 1,
) -> Evaluator:
    """Return the evaluator of a problem.

    Args:
        scenario: what is fixed.
        space: what is free.
        judge: who says how accurate a network is; the configuration of a run or sweep is one.
        cache: where trained accuracies are kept; a surrogate needs none.
        workers: processes that train.

    Raises:
        UsageError: scenario and space do not fit, or the surrogate is not there.
    """
    scenario.require_fits(space)
    if judge.evaluator == "surrogate":
        return Evaluator(scenario, space, surrogate.load().answer, judge.accuracy_seed)
    from cim_sim.accuracy.trained import measure_many

    source = partial(measure_many, cache=cache, workers=workers)
    return Evaluator(scenario, space, source, judge.accuracy_seed)


def digests(scenario: Scenario, space: Space, judge: Judge) -> Digests:
    """Return what identifies a problem and its judge."""
    identity: dict[str, str | int] = {"evaluator": judge.evaluator, "seed": judge.accuracy_seed}
    if judge.evaluator == "surrogate":
        identity["fit"] = sha256(surrogate.FITTED.read_bytes()).hexdigest()
    return Digests(
        scenario=scenario.digest,
        space=digest(space),
        evaluator=digest(identity),
        simulator=simulator_digest(),
    )
