"""Several agents instead of one controller: an independent REINFORCE learner for each subsystem.

After "Multi-Agent Reinforcement Learning for Microprocessor Design Space Exploration" (Krishnan et
al., 2022): parameters of different subsystems depend little on one another, so each gets an agent
of its own, and all agents the reward of the whole design. Here one agent chooses the widths of
all layers, one their kernels, one the hardware where it is free. The parameters of a problem of the
user's own come without groups, and each has its agent. Settings are those of `reinforce`.
"""

from search.optimizers.reinforce import Reinforce, Settings
from search.proposal import Problem


def marl(problem: Problem, settings: Settings) -> Reinforce:
    """Build the optimiser."""
    groups: dict[str, list[int]] = {}
    for place, parameter in enumerate(problem.space.parameters):
        groups.setdefault(_group(parameter.name), []).append(place)
    return Reinforce(problem, settings, list(groups.values()))


def _group(name: str) -> str:
    """Return `kernel` of `layer3.kernel`, `hardware` of `hardware.subarray`; else the name."""
    owner, dot, field = name.partition(".")
    return field if dot and owner != "hardware" else owner
