"""The committed scenarios: they load, fit their space, and rank infeasible below feasible."""

from pathlib import Path

import numpy as np
import pytest

from cim_sim.accuracy import Accuracy
from cim_sim.config import UsageError, load
from cim_sim.evaluate import INFEASIBLE_REWARD, judge, screen
from cim_sim.hardware import FixedHardware
from cim_sim.scenario import Scenario
from cim_sim.space import Space

SPACES = {"embedded": "embedded", "paper": "lcda", "codesign": "codesign"}
FILES = sorted(Path("configs/scenarios").glob("*.yaml"))


def loaded(path):
    scenario = load(path, Scenario)
    space = load(f"configs/spaces/{SPACES[path.stem.split('-')[0]]}.yaml", Space)
    scenario.require_fits(space)
    return scenario, space


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_committed_scenario_fits_its_space_and_carries_its_name(path):
    scenario, _ = loaded(path)
    assert scenario.name == path.stem


def test_hardware_that_no_cell_or_weight_can_have_is_refused_before_any_design():
    path = Path("configs/scenarios/codesign-energy.yaml")
    scenario, space = loaded(path)
    sram = {**scenario.model_dump(exclude_none=True)}
    sram["hardware"] |= {"device": "sram"}
    with pytest.raises(UsageError, match=r"cell_bits 2, 4: a cell of sram holds 1 bit"):
        Scenario.model_validate(sram).require_fits(space)
    with pytest.raises(ValueError, match="an sram cell holds 1 bit, found cell_bits 2"):
        FixedHardware(device="sram", cell_bits=2)
    strays = scenario.model_dump(exclude_none=True) | {"variation": {"cell_sigma": 0.9}}
    with pytest.raises(UsageError, match=r"cell_sigma 0\.9 makes more than 1 of a weight in cells"):
        Scenario.model_validate(strays).require_fits(space)


@pytest.mark.parametrize(
    "path", [file for file in FILES if not file.stem.startswith("paper")], ids=lambda p: p.stem
)
def test_infeasible_ranks_below_every_feasible_design(path):
    """Even the dearest design at chance accuracy; the paper's own constants do not promise it."""
    scenario, space = loaded(path)
    worst = Accuracy(mean=0.0, std=0.0, quantile_10=0.0, draws=16, clean=0.0)
    rng = np.random.default_rng(0)
    sizes = [len(parameter.choices) for parameter in space.parameters]
    rows = rng.integers(sizes, size=(300, len(sizes)))
    rows[:20, : 2 * space.layers] = np.array(sizes[: 2 * space.layers]) - 1
    free = screen([space.decode(row) for row in rows], scenario)
    open_limits = scenario.model_copy(update={"limits": type(scenario.limits)()})
    rewards = [judge(one, worst, open_limits).reward for one in free if one.infeasible is None]
    assert len(rewards) > 100
    assert min(rewards) > INFEASIBLE_REWARD
