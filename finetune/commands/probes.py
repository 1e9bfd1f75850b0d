"""The verb `probes`: what a model believes about kernels."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import load
from search.study.cut import Split


def probes(
    model: Path = Path("finetune/tiny/model"),
    space: Path | None = None,
    split: Split = "near",
    scenarios: cli.Count = 40,
    questions: cli.Count = 200,
) -> int:
    """Ask a model which of two kernels is better, by log-likelihood, on unseen scenarios.

    Args:
        model: directory of a model, or of an adapter made here.
        space: YAML file of what is free, instead of the spaces that the family draws.
        split: part of the family that is asked about.
        scenarios: number of scenarios of that part.
        questions: number of questions, half of them won by the larger kernel.
    """
    from cim_sim.space import Space
    from finetune.merge import load_model
    from finetune.probes import ask, balanced
    from search.study.family import tasks

    wanted = load(space, Space) if space else None
    asked = balanced(tasks(split, scenarios, space=wanted), questions)
    beliefs = ask(*load_model(model), asked)
    cli.emit(model=str(model), split=split, **beliefs.model_dump(mode="json"))
    return 0
