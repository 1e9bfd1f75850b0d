"""The evaluator of a run: the exact cost model, with accuracy trained or predicted."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.config import digest
from cim_sim.evaluate import AccuracySource, Evaluator
from cim_sim.identity import simulator_digest
from cim_sim.paths import ACCURACY_CACHE
from search.record.manifest import Digests, RunConfig


def build(config: RunConfig, cache: Path = ACCURACY_CACHE, workers: int = 1) -> Evaluator:
    """Return the evaluator that `config` names.

    Args:
        config: of a run.
        cache: where trained accuracies are kept; a surrogate needs none.
        workers: processes that train.

    Raises:
        UsageError: scenario and space do not fit, or the surrogate is not there.
    """
    config.scenario.require_fits(config.space)
    source = _predicted() if config.evaluator == "surrogate" else _trained(cache, workers)
    return Evaluator(config.scenario, config.space, source, config.accuracy_seed)


def digests(config: RunConfig) -> Digests:
    """Return what identifies the problem and its judge."""
    judge: dict[str, Any] = {"evaluator": config.evaluator, "seed": config.accuracy_seed}
    if config.evaluator == "surrogate":
        judge["fit"] = sha256(surrogate.FITTED.read_bytes()).hexdigest()
    return Digests(
        scenario=config.scenario.digest,
        space=digest(config.space),
        evaluator=digest(judge),
        simulator=simulator_digest(),
    )


def _trained(cache: Path, workers: int) -> AccuracySource:
    from cim_sim.accuracy.trained import measure_many

    return lambda queries: measure_many(queries, cache, workers=workers)


def _predicted() -> AccuracySource:
    return surrogate.load().answer
