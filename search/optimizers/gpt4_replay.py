"""What GPT-4 proposed for LCDA in 2023: recorded rollouts, replayed in order.

Source of gpt4_rollouts.json: the rollout lists in LCDA's released code (MariusAnje/NeuroSim_GPT,
Inference_pytorch/gpt_search.py, commit a036e8b), 22 of the accuracy-latency search and 14 of the
accuracy-energy search. They answer rewards of that code's simulator, not ours, so a replay shows
what GPT-4 knew beforehand and how it moved, not how it would have reacted here.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from cim_sim.config import Config, UsageError
from cim_sim.space import Design, from_wire
from search.proposal import Problem, Proposal, SearchStopped
from search.record.trace import Failure, Trial

ROLLOUTS = Path(__file__).with_name("gpt4_rollouts.json")


class Settings(Config):
    """A recording has nothing to set."""


def rollouts(metric: str) -> list[Design]:
    """Return the recorded designs for the objective `energy` or `latency`."""
    recorded = json.loads(ROLLOUTS.read_text(encoding="utf-8"))
    if f"accuracy-{metric}" not in recorded:
        raise UsageError(f"optimizer gpt4-replay: nothing was recorded for objective {metric}")
    return [from_wire(layers) for layers in recorded[f"accuracy-{metric}"]]


class Gpt4Replay:
    """Proposes the recorded designs of the scenario's objective, and learns nothing."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self._designs = rollouts(problem.scenario.objective.metric)
        self._step = 0
        if any(problem.space.check(design) for design in self._designs):
            raise UsageError(
                f"optimizer gpt4-replay: its rollouts lie outside space {problem.space.name}; "
                "they were recorded in configs/spaces/lcda.yaml"
            )

    def suggest(self, count: int) -> list[Proposal]:
        """Return the next `count` recorded designs; a last batch may have empty slots.

        Raises:
            SearchStopped: none is left.
        """
        chosen = self._designs[self._step : self._step + count]
        if not chosen:
            raise SearchStopped(
                f"gpt4-replay has {len(self._designs)} recorded designs for this objective and "
                f"none left; ask for --episodes {len(self._designs)} or fewer"
            )
        self._step += count
        none_left = Failure(kind="reply", message="the recording is at its end")
        rest = [Proposal(failure=none_left)] * (count - len(chosen))
        return [*(Proposal(design) for design in chosen), *rest]

    def update(self, trials: Sequence[Trial]) -> None:
        """Learn nothing."""
