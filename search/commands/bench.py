"""The verb `bench`: what the search loop costs beside the evaluation."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cim_sim import cli
from cim_sim.config import load

Argument = TypeVar("Argument")


def bench(
    scenario: Path = Path("configs/scenarios/embedded-latency.yaml"),
    space: Path = Path("configs/spaces/embedded.yaml"),
    episodes: int = 500,
) -> int:
    """Time a search by `random` under the surrogate: an episode, and the loop's part of it.

    The loop's part is what is left of an episode after evaluating the same designs one by one and
    writing the same records, each synced to the disk: a disk takes as long as it takes.

    Args:
        scenario: YAML file of what is fixed.
        space: YAML file of what is free.
        episodes: of the search.
    """
    from cim_sim.scenario import Scenario
    from cim_sim.space import Space
    from search.evaluators import build
    from search.execute import execute
    from search.journal import Journal
    from search.manifest import RunConfig
    from search.trace import Trial

    config = RunConfig(
        optimizer="random",
        scenario=load(scenario, Scenario),
        space=load(space, Space),
        evaluator="surrogate",
        episodes=episodes,
    )
    judge = build(config)
    with tempfile.TemporaryDirectory() as folder:
        execute(config, judge, Path(folder) / "warm")
        start = time.perf_counter()
        trials = execute(config, judge, Path(folder) / "run")
        whole = (time.perf_counter() - start) / episodes * 1e3
        journal = Journal(Path(folder) / "trials.jsonl", Trial)
        disk = sum(_seconds(journal.append, one) for one in trials) / episodes * 1e3
        journal.close()
    designs = [one.design for one in trials if one.design and one.duplicate_of is None]
    alone = sum(_seconds(judge.evaluate, [one]) for one in designs) / episodes * 1e3
    loop = whole - alone - disk
    for name, part in (("episode", whole), ("evaluation", alone), ("disk", disk), ("loop", loop)):
        print(f"{name:12s} {part:8.3f} ms")
    cli.emit(
        episode_ms=round(whole, 4),
        evaluation_ms=round(alone, 4),
        disk_ms=round(disk, 4),
        loop_ms=round(loop, 4),
        episodes=episodes,
    )
    return 0


def _seconds(function: Callable[[Argument], object], argument: Argument) -> float:
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start
