"""Why a search went as it went: what changed from design to design, and what that did."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from cim_sim.config import Config
from cim_sim.cost_study.explain import Finding
from cim_sim.cost_study.explain import compare as explained
from cim_sim.scenario import Scenario
from cim_sim.space import Design
from search.comparison.equality import Arm
from search.comparison.foresight import by_step, expected
from search.progress import outcome
from search.record.manifest import RunConfig
from search.record.runs import RunRecord
from search.record.trace import Exchange, Trial

STEPS = 40
"""Episodes that are told of a run; all of them lie in its directory."""
LETTERS = 2000
"""Characters of a prompt or reply that are shown; likewise."""


class Step(Config):
    """One episode."""

    episode: int
    design: str
    result: str
    best: bool
    """It is the best so far."""
    changes: str
    """From the last design on."""
    findings: tuple[str, ...]
    """What the simulator says of that change."""
    expected: float | None
    """Accuracy that a model said it expects of this design."""
    asked: str | None
    """The end of the prompt, cut; None without a model."""
    replies: tuple[str, ...]
    """In the order of attempts, cut."""


class Story(Config):
    """The first episodes of one run."""

    arm: str
    scenario: str
    seed: int
    path: str
    episodes: int
    """Of the whole run."""
    steps: tuple[Step, ...]


def stories(arms: Sequence[Arm]) -> list[Story]:
    """Tell the first run of every arm: all of them in the same scenario, where they can be."""
    return [_story(arm.name, arm.first) for arm in arms]


def in_short(design: Design) -> str:
    """Write a design in few characters: channels x kernel of each layer, then what has a name."""
    layers = " ".join(f"{channels}x{kernel}" for channels, kernel in design.layers)
    hardware = (f"{name}={value}" for name, value in design.hardware.chosen().items())
    named = (f"{name}={value}" for name, value in design.named.items())
    return " ".join(filter(None, [layers, *hardware, *named]))


def changed(before: Design, after: Design) -> str:
    """Say in which layers and hardware fields two designs differ."""
    layers = [
        f"layer {place}: {old[0]}x{old[1]} -> {new[0]}x{new[1]}"
        for place, (old, new) in enumerate(zip(before.layers, after.layers, strict=True), start=1)
        if old != new
    ]
    ours, theirs = ({**one.hardware.chosen(), **one.named} for one in (before, after))
    fields = [
        f"{name}: {ours[name]} -> {theirs[name]}" for name in ours if ours[name] != theirs[name]
    ]
    return ", ".join(layers + fields) or "nothing"


def _story(name: str, run: RunRecord) -> Story:
    return Story(
        arm=name,
        scenario=run.config.scenario.name,
        seed=run.config.seed,
        path=str(run.path),
        episodes=len(run.trials),
        steps=tuple(_steps(run)),
    )


def _steps(run: RunRecord) -> Iterator[Step]:
    exchanges = by_step(run)
    first = run.trials[:1]
    best = -float("inf")
    for before, trial in pairwise([*first, *run.trials[:STEPS]]):
        better = trial.feasible and trial.score > best
        best = trial.score if better else best
        yield _step(before, trial, exchanges.get(trial.step, []), better, run.config)


def _step(
    before: Trial, trial: Trial, exchanges: Sequence[Exchange], best: bool, config: RunConfig
) -> Step:
    old, new = before.design, trial.design
    changes, findings = "", list[str]()
    if old and new and before is not trial:
        changes = changed(old, new)
        if old != new and isinstance(config.scenario, Scenario):
            findings = [_line(one) for one in explained(old, new, config.scenario)]
    messages = exchanges[0].request.get("messages", []) if exchanges else []
    asked = [
        str(message.get("content", "")) for message in messages if message.get("role") == "user"
    ]
    return Step(
        episode=trial.step + 1,
        design=in_short(new) if new else "no design",
        result=outcome(trial),
        best=best,
        changes=changes,
        findings=tuple(findings),
        expected=expected(trial, exchanges, config.space),
        asked=_end(asked[-1]) if asked else None,
        replies=tuple(_beginning(one.reply or "") for one in exchanges),
    )


def _line(finding: Finding) -> str:
    """Write a finding; what belongs to a layer stands under it."""
    inner = finding.layer is not None and finding.kind != "layer"
    return f"{'    ' if inner else ''}{finding.text}"


def _beginning(text: str) -> str:
    more = len(text) - LETTERS
    return text if more <= 0 else f"{text[:LETTERS]} ... and {more:,} characters more"


def _end(text: str) -> str:
    more = len(text) - LETTERS
    return text if more <= 0 else f"{more:,} characters before ... {text[-LETTERS:]}"
