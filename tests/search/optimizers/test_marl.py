import numpy as np
import pytest
import torch

from cim_sim.own import OwnScenario, OwnSpace
from cim_sim.space import Space
from search.optimizers.marl import marl
from search.optimizers.random import RandomOptimizer
from search.optimizers.random import Settings as NoSettings
from search.optimizers.reinforce import Settings, reinforce
from search.proposal import Problem
from search.record.tasks import OwnTask, Task
from search.record.trace import Trial


@pytest.fixture
def problem(config, judge):
    """The small problem, in a space and with a seed of the test's own."""

    def make(space=None, seed=0):
        wanted = config()
        whole = Task(scenario=wanted.scenario, space=space or wanted.space)
        return Problem(whole, judge(wanted).screen, seed)

    return make


def own_problem(choices):
    scenario = OwnScenario(name="toy", choose="an array", objective="speed")
    return Problem(OwnTask(space=OwnSpace(name="toy", choices=choices), scenario=scenario), list, 0)


def groups_of(optimizer):
    names = [parameter.name for parameter in optimizer.problem.space.parameters]
    return [[names[place] for place in agent.places] for agent in optimizer.agents]


def trial_of(design, reward):
    """A trial with the reward that a test gives it."""
    evaluation = {"design": design, "scenario": "test", "reward": reward}
    return Trial(step=0, design=design, evaluation=evaluation, started_at="", seconds=0)


def searched(optimizer, count, reward):
    """Rewards of `count` designs, told to the optimiser one by one."""
    rewards = []
    for _ in range(count):
        design = optimizer.suggest(1)[0].design
        rewards.append(reward(design))
        optimizer.update([trial_of(design, rewards[-1])])
    return np.array(rewards)


def test_widths_kernels_and_hardware_have_an_agent_each(problem):
    hardware = {"subarray": (64, 128), "mapping": ("novel", "conventional")}
    space = Space(name="s", channels=(16, 32), kernels=(1, 3), layers=2, hardware=hardware)
    optimizer = marl(problem(space), Settings())
    assert groups_of(optimizer) == [
        ["layer1.channels", "layer2.channels"],
        ["layer1.kernel", "layer2.kernel"],
        ["hardware.subarray", "hardware.mapping"],
    ]
    assert all(space.check(one.design) == [] for one in optimizer.suggest(40))


def test_where_no_hardware_is_free_there_are_two_agents(problem):
    assert [len(agent.places) for agent in marl(problem(), Settings()).agents] == [6, 6]


def test_parameters_of_the_users_own_have_an_agent_each():
    optimizer = marl(
        own_problem({"tile": (1, 2), "hardware": (1, 2), "kernel": (3, 5)}), Settings()
    )
    assert groups_of(optimizer) == [["tile"], ["hardware"], ["kernel"]]


def test_no_agent_sees_what_another_has_chosen(problem):
    """Other widths leave the kernels of the same step as they are; with one agent they do not."""

    def kernels(make, preferred):
        optimizer = make(problem(), Settings())
        with torch.no_grad():
            for weights in optimizer.agents[0].controller.parameters():
                weights.mul_(4)  # so that a choice depends on the one before
            optimizer.agents[0].controller.head[0, :, preferred] += 3
        return [[layer.kernel for layer in one.design.layers] for one in optimizer.suggest(40)]

    assert kernels(marl, 1) == kernels(marl, 5)
    assert kernels(reinforce, 1) != kernels(reinforce, 5)


def test_all_agents_get_the_reward_of_the_whole_design(problem):
    optimizer = marl(problem(), Settings(rollouts=4))
    seen = []
    for number, agent in enumerate(optimizer.agents):
        agent.controller.step = lambda *given, number=number: seen.append((number, *given))
    designs = [proposal.design for proposal in optimizer.suggest(4)]
    optimizer.update([trial_of(design, place) for place, design in enumerate(designs)])
    (first, widths, shared), (second, kernels, same) = seen
    assert (first, second) == (0, 1)
    assert np.array_equal(shared, same)
    whole = np.array([optimizer.problem.space.encode(design) for design in designs])
    assert np.array_equal(widths, whole[:, 0::2])
    assert np.array_equal(kernels, whole[:, 1::2])


def test_agents_begin_with_different_weights_and_the_first_as_that_of_reinforce():
    problem = own_problem({"a": (1, 2, 3), "b": (1, 2, 3)})
    first, second = (agent.controller.head for agent in marl(problem, Settings()).agents)
    assert not torch.equal(first, second)
    alone = own_problem({"a": (1, 2, 3)})
    settings = Settings(rollouts=1)
    rewards = [
        searched(make(alone, settings), 30, lambda d: d.named["a"]) for make in (marl, reinforce)
    ]
    assert np.array_equal(*rewards)


@pytest.mark.parametrize("seed", range(3))
def test_it_learns_an_easy_problem_where_random_does_not(problem, seed):
    """Wide layers with small kernels: what each agent prefers pays whatever the other does."""

    def reward(design):
        return float(np.mean([layer.channels / 128 - layer.kernel / 7 for layer in design.layers]))

    task = problem(seed=seed)
    learnt = searched(marl(task, Settings(learning_rate=0.02)), 300, reward)
    drawn = searched(RandomOptimizer(task, NoSettings()), 300, reward)
    assert learnt[-50:].mean() > drawn[-50:].mean() + 0.3
    assert learnt.max() > drawn.max()
