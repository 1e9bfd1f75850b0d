"""LCDA's prompt word for word: Algorithm 1 of Yan et al., "On the Viability of using LLMs for
SW/HW Co-Design" (2023).

Three things the paper leaves open are filled in: {Model} is the backbone in PyTorch's terms,
{Choices} one line for each layer, and a design's performance a sentence after it, as in GENIUS.
The dataset's own name stands where the paper says CIFAR10.
"""

from collections.abc import Sequence

from cim_sim.scenario import Scenario
from cim_sim.space import Space

CO_DESIGN = (
    "The model's performance is a combination of hardware performance and model accuracy. "
    "If the hardware is invalid (e.g., too large in area), the performance I give you will be -1. "
)
"""What the ablation (section IV-C) leaves out: all that is said of hardware."""


def text(
    scenario: Scenario, space: Space, results: Sequence[str], example: str, co_design: bool
) -> str:
    """Return the user message; without `co_design` it is the ablation's."""
    dataset = scenario.workload.dataset
    name = "CIFAR10" if dataset.lower() in ("cifar10", "cifar-10") else dataset
    return (
        "Your task is to assist me in selecting the best rollout numbers for a given model "
        f"architecture. The model will be trained and tested on {name}, and your objective will "
        f"be to maximize the model's performance on {name}. The model architecture will be "
        f"defined as the following.\n{_architecture(scenario, space)}\n"
        "For the 'rollout' variable to design the model, the available number for each index "
        f"would be:\n{_choices(space)}\n"
        "Your objective is to define the optimal number of rollouts for each layer based on the "
        f"given options above to maximize the model's performance on {name}. "
        f"{CO_DESIGN if co_design else ''}"
        "After you give me a rollout list, I will give you the model's performance I calculated. "
        f"Your response should be the rollout list consisting of {space.layers} number pairs"
        f"(e.g. {example}). "
        "Here are some experimental results that you can use as a reference:\n"
        + "\n".join(results or ["none yet"])
        + "\nPlease suggest a rollout list that can improve the model's performance on "
        f"{name} beyond the experimental results provided above. Please do not include anything "
        "else other than the rollout list in your response."
    )


def _architecture(scenario: Scenario, space: Space) -> str:
    work, image = scenario.workload, scenario.workload.image
    lines, source = [], str(image.channels)
    for layer in range(space.layers):
        channels, kernel = f"rollout[{layer}][0]", f"rollout[{layer}][1]"
        pool = ", MaxPool2d(2)" if layer + 1 in work.pools_after else ""
        convolution = f"Conv2d({source}, {channels}, kernel_size={kernel}, padding='same')"
        lines.append(f"{convolution}, ReLU{pool}")
        source = channels
    side = image.side // 2 ** len(work.pools_after)
    lines.append(f"Flatten, Linear({source} * {side * side}, {work.hidden}), ReLU")
    lines.append(f"Linear({work.hidden}, {image.classes})")
    return "\n".join(lines)


def _choices(space: Space) -> str:
    channels = ",".join(map(str, space.channels))
    kernels = ",".join(map(str, space.kernels))
    return "\n".join(
        f"rollout[{layer}][0]: [{channels}], rollout[{layer}][1]: [{kernels}]"
        for layer in range(space.layers)
    )
