"""The search as a Gymnasium environment, by Gymnasium's own check and against the evaluator."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from cim_sim.config import UsageError
from search.environment import CimCodesign

FILES = {
    "scenario": "configs/scenarios/embedded-latency.yaml",
    "space": "configs/spaces/embedded.yaml",
}


@pytest.fixture
def env():
    return gymnasium.make("CimCodesign-v0", **FILES, episodes=3)


def test_gymnasium_finds_no_fault(env):
    check_env(env.unwrapped, skip_render_check=True)


def test_the_codesign_space_has_hardware_actions():
    env = CimCodesign("configs/scenarios/codesign-energy.yaml", "configs/spaces/codesign.yaml")
    assert env.action_space.nvec.tolist() == [4] * 12 + [
        len(one.choices) for one in env.space.parameters[12:]
    ]
    check_env(env, skip_render_check=True)


def test_a_step_is_a_design_and_its_reward(env):
    env.reset(seed=0)
    inner = env.unwrapped
    usual, narrow = np.array([2, 1, 2, 1, 4, 1, 4, 1, 6, 1, 6, 1]), np.array([1, 1] * 6)
    seen, reward, terminated, truncated, info = env.step(usual)
    expected = inner.evaluator.evaluate([inner.space.decode(usual.tolist())])[0]
    assert reward == expected.score
    assert info["design"] == expected.design.wire()
    assert info["latency_ns"] == expected.cost.latency_ns
    assert seen[-2:] == pytest.approx([1.0, expected.accuracy.mean])
    assert (terminated, truncated) == (False, False)
    seen, reward, *_, info = env.step(narrow)
    assert reward == -1
    assert info["infeasible"]
    assert seen[:12] == pytest.approx([1 / 6, 1 / 3] * 6)
    assert env.step(usual)[3]
    assert env.reset()[0].tolist() == [0] * 14


def test_files_are_checked():
    with pytest.raises(UsageError, match=r"nope\.yaml"):
        CimCodesign("configs/scenarios/nope.yaml", FILES["space"])
    with pytest.raises(UsageError, match="fixed by the one and freed by the other"):
        CimCodesign(FILES["scenario"], "configs/spaces/codesign.yaml")
