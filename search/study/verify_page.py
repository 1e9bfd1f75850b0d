"""What re-training came to, as Markdown tables."""

from cim_sim.cards import table
from search.study.verify import Verification


def verified_page(result: Verification) -> str:
    """Return the table of arms after re-training."""
    head = ["optimiser", "reward, predicted", "reward, re-trained"]
    head += ["accuracy, predicted less re-trained", "keeps the least accuracy"]
    rows = [
        (
            arm.arm,
            f"{arm.predicted_reward:.3f}",
            f"{arm.reward:.3f}",
            f"{arm.accuracy_bias:+.3f}",
            _share(arm.holds),
        )
        for arm in result.arms
    ]
    tau = "undefined" if result.kendall_tau is None else f"{result.kendall_tau:.2f}"
    order = (
        f"Means over the {result.scenarios[0]} of {result.scenarios[1]} scenarios in which every "
        "optimiser found something feasible; each winner is the best of all its episodes and "
        "seeds. A winner that misses the least accuracy after re-training counts as -1. "
        f"Kendall tau between predicted and re-trained order within a scenario: {tau}."
    )
    return "\n".join([*table(head, rows), "", order, ""])


def top_page(result: Verification) -> str:
    """Return the table of one run's best designs after re-training, as the run ranked them."""
    head = ["rank", "design", "accuracy", "re-trained", "reward", "re-trained"]
    rows = [
        (
            winner.arm,
            winner.design,
            f"{winner.predicted_accuracy:.3f}",
            " ".join(f"{accuracy:.3f}" for accuracy in winner.accuracies),
            f"{winner.predicted_reward:.3f}",
            f"{winner.reward:.3f}",
            _share(winner.holds),
        )
        for winner in result.winners
    ]
    return "\n".join([*table([*head, "keeps the least accuracy"], rows), ""])


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
