"""LCDA's prompt word for word: Algorithm 1 of Yan et al., "On the Viability of using LLMs for
SW/HW Co-Design" (2023).

Three things the paper leaves open are filled in: {Model} is the backbone in PyTorch's terms,
{Choices} one line for each layer, and a design's performance a sentence after it, as in GENIUS.
The dataset's own name stands where the paper says CIFAR10.
"""

from collections.abc import Sequence
from pathlib import Path

from cim_sim.cards import render
from cim_sim.scenario import Scenario
from cim_sim.space import Space

TEMPLATE = Path(__file__).with_suffix(".jinja")


def text(
    scenario: Scenario, space: Space, results: Sequence[str], example: str, co_design: bool
) -> str:
    """Return the user message.

    Without `co_design` it is the ablation's (section IV-C), where nothing is said of hardware.
    """
    dataset = scenario.workload.dataset
    message = render(
        TEMPLATE,
        dataset="CIFAR10" if dataset.lower() in ("cifar10", "cifar-10") else dataset,
        work=scenario.workload,
        image=scenario.workload.image,
        space=space,
        results=results,
        example=example,
        co_design=co_design,
    )
    return message.removesuffix("\n")
