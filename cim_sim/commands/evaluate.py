"""The verb `evaluate`: one design in one scenario, with real training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cim_sim import cli
from cim_sim.config import load
from cim_sim.paths import ACCURACY_CACHE

if TYPE_CHECKING:
    from cim_sim.evaluate import Evaluation


def evaluate(
    *,
    design: str,
    scenario: Path,
    space: Path,
    seed: cli.Natural = 0,
    cache: Path = ACCURACY_CACHE,
    only_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Cost, accuracy and reward of one design.

    Args:
        design: the design as JSON, as in '[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]', or, where
            the space frees hardware, '{"layers": [...], "hardware": {"subarray": 128}}'.
        scenario: YAML file of what is fixed.
        space: YAML file of what is free; says how wide the trained proxy network is.
        seed: seed of the accuracy experiment.
        cache: SQLite file in which trained accuracies are kept.
        only_json: print nothing but the evaluation, as one line of JSON.
    """
    from cim_sim.accuracy.trained import measure_many
    from cim_sim.evaluate import Evaluator
    from cim_sim.scenario import Scenario
    from cim_sim.space import Space, parse_design

    evaluator = Evaluator(
        scenario=load(scenario, Scenario),
        space=load(space, Space),
        accuracy=lambda queries: measure_many(queries, cache, workers=1),
        seed=seed,
    )
    (evaluation,) = evaluator.evaluate([parse_design(design, "--design")])
    if not only_json:
        print(_describe(evaluation))
    record: dict[str, object] = evaluation.model_dump(mode="json", exclude={"design"})
    cli.emit(design=evaluation.design.wire(), score=evaluation.score, **record)
    return 0


def _describe(evaluation: "Evaluation") -> str:
    lines = [f"design       {evaluation.design.wire()}"]
    cost, accuracy = evaluation.cost, evaluation.accuracy
    if cost is not None:
        lines += [
            f"energy       {cost.energy_pj / 1e6:.3f} uJ",
            f"  leakage    {cost.leakage_energy_pj / 1e6:.3f} uJ",
            f"latency      {cost.latency_ns / 1e3:.1f} us ({1e9 / cost.latency_ns:.0f} frames/s)",
            f"area         {cost.area_um2 / 1e6:.2f} mm2",
            f"utilisation  {cost.utilisation:.3f}",
        ]
    if accuracy is not None:
        spread = f"+- {accuracy.standard_error:.4f} over {accuracy.draws} draws"
        lines.append(f"accuracy     {accuracy.mean:.4f} {spread}")
        lines.append(f"  clean      {accuracy.clean}")
    if evaluation.infeasible is not None:
        lines.append(f"infeasible   {evaluation.infeasible.kind}: {evaluation.infeasible.reason}")
    lines.append(f"reward       {evaluation.score:.4f}")
    return "\n".join(lines)
