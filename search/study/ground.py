"""On whose ground a task lies: read off what it is, whatever it is called and whoever wrote it."""

from typing import Literal

from cim_sim.scenario import DelayObjective
from search.record.tasks import Task
from search.study.cut import HELD_CELLS, SIGMA_BANDS, Platform, cells, platforms
from search.study.spaces import EMBEDDED

Ground = Literal["train", "validation", "test"]


def ground_of(task: Task) -> Ground:
    """Return who may use a task; one thing that no training task has is enough (`cut.py`)."""
    parts = _parts_of_platforms(task) | _parts_of_sigmas(task)
    if "near" in parts or _is_for_tests(task):
        return "test"
    return "validation" if "validation" in parts else "train"


def _parts_of_platforms(task: Task) -> set[str]:
    hardware = task.scenario.hardware
    levels = task.space.hardware.adc_levels or (hardware.adc_levels,)
    options = (Platform(hardware.device, one, hardware.node_nm) for one in levels if one)
    return {platforms()[platform] for platform in options}


def _parts_of_sigmas(task: Task) -> set[str]:
    bits = task.space.hardware.cell_bits or (task.scenario.hardware.cell_bits,)
    thousandths = {
        round(1000 * task.scenario.variation.effective(count)) for count in bits if count
    }
    held = {name: {k for band in bands for k in band} for name, bands in SIGMA_BANDS.items()}
    return {name for name, band in held.items() if band & thousandths}


def _is_for_tests(task: Task) -> bool:
    """Whether cells, objective, data set or widths are those of a test split alone."""
    scenario, space = task.scenario, task.space
    return bool(
        cells(space, scenario.hardware) & HELD_CELLS
        or isinstance(scenario.objective, DelayObjective)
        or scenario.workload.dataset == "digits"
        or space.width_divisor != EMBEDDED.width_divisor
        or not set(space.channels) <= set(EMBEDDED.channels)
    )
