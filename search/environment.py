"""The search as a Gymnasium environment, for reinforcement learning of the user's own.

    import gymnasium

    env = gymnasium.make(
        "search.environment:CimCodesign-v0",
        scenario="configs/scenarios/embedded-latency.yaml",
        space="configs/spaces/embedded.yaml",
    )

One step is one design, as one episode of the paper is; an episode of the environment is one
search of `episodes` designs. The reward is the paper's, -1 for an infeasible design.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cim_sim.config import load
from cim_sim.evaluate import Evaluation
from cim_sim.extras import missing
from cim_sim.paths import ACCURACY_CACHE
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from search import evaluators
from search.record.judge import Judge

try:
    import gymnasium
except ModuleNotFoundError as error:
    raise missing(error) from None

Observation = NDArray[np.float32]


class CimCodesign(gymnasium.Env[Observation, NDArray[np.int64]]):
    """Action: the index of each parameter's choice. Observation: what the last design came to.

    All observed numbers lie in [0, 1]: the choice of each parameter by rank, whether the design
    was feasible, and its accuracy (0 where it was not measured). All are 0 before the first.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (gymnasium's own name and type)

    def __init__(
        self,
        scenario: str | Path,
        space: str | Path,
        *,
        evaluator: Literal["surrogate", "trained"] = "surrogate",
        episodes: int = 20,
        cache: Path = ACCURACY_CACHE,
    ) -> None:
        """Open a problem.

        Args:
            scenario: YAML file of what is fixed.
            space: YAML file of what is free.
            evaluator: accuracy predicted, or by real training.
            episodes: designs of one search.
            cache: where trained accuracies are kept.

        Raises:
            UsageError: a file is missing or at fault, or the two do not fit.
        """
        self.scenario, self.space = load(scenario, Scenario), load(space, Space)
        self.episodes = episodes
        judge = Judge(evaluator=evaluator)
        self.evaluator = evaluators.of_chips(self.scenario, self.space, judge, cache)
        choices = np.array([len(parameter.choices) for parameter in self.space.parameters])
        self.action_space = gymnasium.spaces.MultiDiscrete(choices)
        self.observation_space = gymnasium.spaces.Box(0, 1, (len(choices) + 2,), np.float32)
        self.tried = 0
        """Designs of this search so far."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a new search."""
        super().reset(seed=seed)
        self.tried = 0
        return np.zeros(self.observation_space.shape or (), np.float32), {}

    def step(
        self, action: NDArray[np.int64]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Evaluate the design; truncated when the budget is spent, never terminated."""
        design = self.space.decode([int(index) for index in action])
        result = self.evaluator.evaluate([design])[0]
        self.tried += 1
        ranks = action / np.maximum(self.action_space.nvec - 1, 1)  # type: ignore[attr-defined]
        accuracy = result.accuracy.mean if result.accuracy else 0.0
        seen = np.array([*ranks, result.reward is not None, accuracy], np.float32)
        return seen, result.score, False, self.tried >= self.episodes, _info(result)


def _info(result: Evaluation) -> dict[str, Any]:
    info: dict[str, Any] = {"design": result.design.wire(), **result.amounts}
    if result.infeasible:
        info["infeasible"] = result.infeasible.reason
    return info


gymnasium.register("CimCodesign-v0", "search.environment:CimCodesign")
