"""The verb `bench`: what the search loop costs beside the evaluation."""

import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from cim_sim import cli
from cim_sim.config import load
from cim_sim.evaluate import Evaluation, Evaluator
from cim_sim.paths import EMBEDDED_SPACE
from cim_sim.space import Design


@dataclass(frozen=True)
class Clocked(Evaluator):
    """Notes how long each evaluation took."""

    seconds: list[float] = field(default_factory=list)

    def evaluate(self, designs: Sequence[Design]) -> list[Evaluation]:
        """Evaluate as ever."""
        start = time.perf_counter()
        evaluations = super().evaluate(designs)
        self.seconds.append(time.perf_counter() - start)
        return evaluations


def bench(
    scenario: Path = Path("configs/scenarios/embedded-latency.yaml"),
    space: Path = EMBEDDED_SPACE,
    episodes: cli.Count = 500,
) -> int:
    """Time a search by `random` under the surrogate: an episode, and the loop's part of it.

    The loop's part is what is left of an episode without its evaluation, timed in the run itself,
    and without writing the same records again, each synced: a disk takes as long as it takes.

    Args:
        scenario: YAML file of what is fixed.
        space: YAML file of what is free.
        episodes: number of designs that the search tries.
    """
    from cim_sim.files import Journal
    from cim_sim.scenario import Scenario
    from cim_sim.space import Space
    from search.evaluators import of_chips
    from search.execute import execute
    from search.record.manifest import RunConfig
    from search.record.trace import Trial

    fixed, free = load(scenario, Scenario), load(space, Space)
    config = RunConfig(
        optimizer="random",
        scenario=fixed,
        space=free,
        evaluator="surrogate",
        episodes=episodes,
    )
    judge = Clocked(**vars(of_chips(fixed, free, config)))
    with tempfile.TemporaryDirectory() as folder:
        execute(config, judge, Path(folder) / "warm")
        judge.seconds.clear()
        start = time.perf_counter()
        trials = execute(config, judge, Path(folder) / "run")
        seconds = {"episode": time.perf_counter() - start, "evaluation": sum(judge.seconds)}
        with closing(Journal(Path(folder) / "trials.jsonl", Trial)) as journal:
            start = time.perf_counter()
            for trial in trials:
                journal.append(trial)
            seconds["disk"] = time.perf_counter() - start
    seconds["loop"] = seconds["episode"] - seconds["evaluation"] - seconds["disk"]
    each_ms = {name: round(part / episodes * 1e3, 4) for name, part in seconds.items()}
    for name, part in each_ms.items():
        print(f"{name:12s} {part:8.3f} ms")
    cli.emit(**{f"{name}_ms": part for name, part in each_ms.items()}, episodes=episodes)
    return 0
