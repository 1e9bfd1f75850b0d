"""The evaluator of a run: the exact cost model, with accuracy trained or predicted."""

from pathlib import Path

from cim_sim.config import digest
from cim_sim.evaluate import Evaluator, simulator_digest
from search.manifest import Digests, RunConfig

CACHE = Path("runs/accuracy.sqlite")
"""Where trained accuracies are kept, for all runs."""


def build(config: RunConfig, cache: Path = CACHE, workers: int = 1) -> Evaluator:
    """Return the evaluator that `config` names.

    Raises:
        UsageError: scenario and space do not fit.
    """
    from cim_sim.accuracy.trained import measure_many

    return Evaluator(
        scenario=config.scenario,
        space=config.space,
        accuracy=lambda queries: measure_many(queries, cache, workers=workers),
        seed=config.accuracy_seed,
    )


def digests(config: RunConfig) -> Digests:
    """Return what identifies the problem and its judge."""
    return Digests(
        scenario=config.scenario.digest,
        space=digest(config.space),
        evaluator=digest({"evaluator": config.evaluator, "seed": config.accuracy_seed}),
        simulator=simulator_digest(),
    )
