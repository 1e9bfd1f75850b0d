"""The verb `probes`: what a model believes about kernels."""

from pathlib import Path
from typing import Literal

from cim_sim import cli
from cim_sim.config import load


def probes(
    model: Path = Path("finetune/tiny/model"),
    space: Path = Path("configs/spaces/embedded.yaml"),
    split: Literal["train", "validation", "test"] = "test",
    scenarios: cli.Count = 40,
    questions: cli.Count = 200,
) -> int:
    """Ask a model which of two kernels is better, by log-likelihood, on unseen scenarios.

    Args:
        model: directory of a model, or of an adapter made here.
        space: YAML file of the space that the designs are from.
        split: part of the scenario family that is asked about.
        scenarios: number of scenarios of that part.
        questions: number of questions, half of them won by the larger kernel.
    """
    from cim_sim.space import Space
    from finetune.merge import load_model
    from finetune.probes import ask, balanced
    from finetune.traces import Task
    from search.study.family import scenarios as family

    free = load(space, Space)
    tasks = [Task(space=free, scenario=scenario) for scenario in family(split, scenarios, free)]
    asked = balanced(tasks, questions)
    beliefs = ask(*load_model(model), asked)
    cli.emit(model=str(model), split=split, **beliefs.model_dump(mode="json"))
    return 0
