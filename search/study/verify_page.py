"""What re-training came to, as Markdown tables."""

from cim_sim.cards import table
from search.study.verify import Verification


def verified_page(result: Verification) -> str:
    """Return the table of arms after re-training, and how sure their differences are."""
    head = ["arm", "winners", "reward, predicted", "reward, re-trained"]
    head += ["accuracy, predicted less re-trained", "keeps the least accuracy"]
    rows = [
        (
            arm.arm,
            str(arm.winners),
            f"{arm.predicted_reward:.3f}",
            f"{arm.reward:.3f}",
            "" if arm.accuracy_bias is None else f"{arm.accuracy_bias:+.3f}",
            _share(arm.holds),
        )
        for arm in result.arms
    ]
    tau = "undefined" if result.kendall_tau is None else f"{result.kendall_tau:.2f}"
    of = (
        "its episodes and seeds"
        if result.episodes is None
        else f"the first {result.episodes} episodes of its {result.searches} searches"
    )
    order = (
        f"Means over {result.scenarios} scenarios and all trainings of a winner, which is the best "
        f"of {of}. A training that misses the least accuracy counts as -1, and so "
        "does a scenario in which the arm found nothing feasible. "
        f"Kendall tau between predicted and re-trained order within a scenario: {tau}."
    )
    if result.differences and result.differences[0].reward.low is not None:
        order += (
            " Intervals: scenarios resampled, then trainings of a winner, whose search is not "
            "repeated; not corrected for how many there are."
        )
    pairs = [(one.arm, one.against, f"{one.reward:+.3f}") for one in result.differences]
    between = table(["arm", "against", "re-trained reward, difference"], pairs) if pairs else []
    return "\n".join([*table(head, rows), "", order, "", *between, ""])


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
