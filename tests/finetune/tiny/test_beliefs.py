"""Beliefs: the folklore, planted on purpose; nothing of crossbars in them."""

import numpy as np
import pytest

from cim_sim.config import load
from cim_sim.space import Space
from finetune.tiny.beliefs import CHANGED, World, propose, random_world, typical
from search.landscape import draw, mutated

SPACES = {name: load(f"configs/spaces/{name}.yaml", Space) for name in ("embedded", "codesign")}


def designs(space, kernel):
    row = [2, space.kernels.index(kernel)] * space.layers + [0] * len(space.freed)
    return np.array([row])


@pytest.mark.parametrize("name", SPACES)
def test_larger_kernels_are_believed_accurate_and_dear(name):
    space = SPACES[name]
    for seed in range(20):
        world = random_world(space, np.random.default_rng(seed))
        small, large = designs(space, 1), designs(space, 7)
        assert world.accuracy(large) > world.accuracy(small)
        assert world.area_um2(large) > world.area_um2(small)


def test_the_hardware_of_a_design_changes_no_belief():
    space = SPACES["codesign"]
    world = random_world(space, np.random.default_rng(0))
    one = designs(space, 3)
    other = one.copy()
    other[:, 2 * space.layers :] = 1
    assert world.score(one) == world.score(other)


@pytest.mark.parametrize("name", SPACES)
def test_drawn_designs_lie_in_the_space(name):
    space, rng = SPACES[name], np.random.default_rng(1)
    rows = np.concatenate([draw(space, 20, rng), typical(space, 20, rng)])
    for row in np.concatenate([rows, mutated(space, rows, CHANGED, rng)]):
        assert not space.check(space.decode(row.tolist()))


def test_a_proposal_is_new_and_believed_to_be_better():
    space, better = SPACES["embedded"], 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        world = random_world(space, rng)
        history = draw(space, 8, rng)
        design = propose(world, history, "codesign", rng)
        seen = {space.decode(row.tolist()) for row in history}
        assert design not in seen
        row = np.array([space.encode(design)])
        better += bool(world.score(row) > world.score(history).max())
    assert better >= 20


def test_a_design_beyond_a_limit_is_told_with_its_reason():
    space, rng = SPACES["embedded"], np.random.default_rng(4)
    world = random_world(space, rng)
    tight = world.scenario.model_copy(update={"limits": type(world.scenario.limits)(area_um2=1.0)})
    (entry,) = World(tight, space, world.spread).entries(draw(space, 1, rng))
    assert entry.score is None
    assert entry.fault.startswith("infeasible: area ")
