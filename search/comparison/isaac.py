"""The chip by which the paper scales its rewards, beside the fronts of the paper's problem."""

from collections.abc import Iterator, Sequence

from cim_sim.evaluate import screen
from cim_sim.scenario import EnergyObjective, LatencyObjective, Scenario
from cim_sim.space import from_wire
from search.comparison.equality import Arm
from search.comparison.result import Reference
from search.record.tasks import Task
from search.study.scales import by_scenario

PAPERS = (EnergyObjective(metric="energy"), LatencyObjective(metric="latency"))
"""The objectives with the constants of the paper, which says that ISAAC needs so much."""
SIDE = 32
"""Of the paper's images."""
ENERGY_PJ, FRAMES_PER_SECOND = 8e7, 1600.0
MAC_PJ = 2.69
"""A 16-bit multiply-accumulate on ISAAC's parts, all cells busy: the sum of its Table I."""
EXAMPLE = from_wire([[32, 3], [32, 3], [64, 3], [64, 3], [128, 3], [128, 3]])
"""The network in the paper's prompt."""


def references_of(arms: Sequence[Arm]) -> Iterator[Reference]:
    """Yield ISAAC for each scenario that has the paper's images and constants."""
    for runs in by_scenario([run for arm in arms for run in arm.runs]).values():
        task = runs[0].config.task
        if isinstance(task, Task) and _is_the_papers(task):
            yield Reference(
                scenario=task.name,
                name="ISAAC",
                costs={"energy_pj": ENERGY_PJ, "latency_ns": 1e9 / FRAMES_PER_SECOND},
                words=_words(task.scenario),
            )


def _is_the_papers(task: Task) -> bool:
    """Whether also all hardware is fixed, as in the code that the paper's authors released."""
    side = task.scenario.workload.image.side
    return task.scenario.objective in PAPERS and side == SIDE and not task.space.freed


def _words(scenario: Scenario) -> str:
    stack = scenario.workload.stack([EXAMPLE])
    macs = int((stack.side**2 * stack.weights).sum())
    (here,) = screen([EXAMPLE], scenario)
    ours = "has no floorplan"
    if here.cost:
        frames = 1e9 / here.cost.latency_ns
        ours = f"takes {here.cost.energy_pj / 1e6:.1f} uJ at {frames:,.0f} frames/s"
    return (
        f"ISAAC: the paper divides by {ENERGY_PJ:.0e} pJ and {FRAMES_PER_SECOND:,.0f} frames/s, "
        "which it says are those of the original ISAAC design; it names no accuracy, so it is a "
        f"line. Table I of ISAAC gives {MAC_PJ} pJ for a 16-bit multiply-accumulate: "
        f"{ENERGY_PJ / MAC_PJ / 1e6:.0f} million for {ENERGY_PJ:.0e} pJ. The network in the "
        f"paper's prompt has {macs / 1e6:.0f} million, {macs * MAC_PJ / 1e6:.0f} uJ on ISAAC's "
        f"parts; on the chip of {scenario.name} it {ours}."
    )
