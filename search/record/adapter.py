"""What an adapter's directory says of itself: `finetune` writes it, `search` reads it."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from cim_sim.config import Config, UsageError, load
from search.record.given import Given
from search.record.tasks import AnyTask, read_tasks

MANIFEST = "adapter_manifest.json"
"""Written last: where it stands, the training is complete."""
ROUND_TRIP = "roundtrip.json"
TRAINED_ON = "trained_on.jsonl"
"""The tasks behind the training data, one a line."""
MERGED = "merged"
"""Directory of base and adapter in one model, with copies of the three records above."""


class Stage(Config):
    """A training that a later one went on from."""

    path: str
    steps: int
    seconds: float
    whole_time: bool


class Released(Config):
    """What makes an adapter one that is passed on."""

    weights: str
    """Digest of the file of its weights."""
    rounded_from: str
    """Digest of the served model before the rounding to bf16: runs with that one name it so."""
    rounding_nats: float
    """Mean absolute change of the log-probability of an answer token by that rounding."""


class AdapterManifest(Config):
    """Where an adapter comes from and what it must be served with."""

    format: Literal[1] = 1
    base: str
    """Path or hub id of the model it was trained on."""
    base_revision: str | None = None
    base_digest: str
    went_on_from: str | None = None
    """Adapter that the training began with; what it was trained on counts here too."""
    earlier: tuple[Stage, ...] = ()
    """The trainings up to that adapter, first to last."""
    data: str
    data_digest: str
    trained_on: tuple[str, ...]
    """Digests of the scenarios in the training data, in those of the adapter before it too."""
    given: Given = Given()
    """What the training data cost."""
    examples: int
    renderer: str
    """Digest of the prompt renderer that wrote the data."""
    template: str
    """Digest of the chat template."""
    end_token: str
    seed: int
    steps: int
    dtype: str
    """Floating-point type that the training computed in."""
    dtype_reason: str
    losses: dict[str, float] = Field(default_factory=dict)
    """Held-out before and after, and the mean over the training steps: nats per answer token; of a
    judge the nats of both digits and one minus the correlation, with `correlation` and `error`
    after; where the recipe says `method: dpo` TRL's loss, where `grpo` the held-out rewards."""
    seconds: float
    """Of this training, its evaluations and its resumes; what a kill threw away does not count."""
    whole_time: bool = False
    """False: a resume did not know how long it took to get there, and it took at least `seconds`;
    so it is with adapters from before this was recorded."""
    recipe: dict[str, Any]
    versions: dict[str, str]
    released: Released | None = None


class RoundTrip(Config):
    """Outcome of the check; differences are means of |log p - log p'| over answer tokens, nats."""

    passed: bool
    faults: tuple[str, ...]
    prompts: int
    tokens: int
    concurrency: int
    dtype: str
    """Floating-point type that vLLM computed in."""
    tuned_against_transformers: float
    base_against_transformers: float
    tuned_against_base: float
    same_text: float
    """Share of greedy answers that both stacks write alike; rounding decides near ties."""
    served: str
    """Digest of the directory that vLLM served as the tuned model."""
    base: str
    server: str | None = None
    """Name and version of the vLLM that served both."""


class Adapter(Config):
    """A fine-tuned adapter as its directory described it when the run began."""

    path: str
    manifest: AdapterManifest
    round_trip: RoundTrip | None
    """None: nobody checked that the served model is the trained one."""


class Lineage(Config):
    """Where a language model comes from."""

    adapter: Adapter | None
    unknown: Literal["no card", "served elsewhere"] | None = None
    """Why nobody knows what it was made from."""
    nearest: tuple[str, float] | None = None
    """Of the tasks it was trained on the nearest to that of the run, and how far it is; None:
    not tuned, or not recorded."""


def read_adapter(folder: Path) -> Adapter:
    """Read what an adapter's directory says of itself.

    Raises:
        UsageError: a file is damaged, or the manifest absent.
    """
    manifest = read_manifest(folder)
    return Adapter(path=str(folder), manifest=manifest, round_trip=read_round_trip(folder))


def read_round_trip(folder: Path) -> RoundTrip | None:
    """Read the round trip of an adapter or of a merged copy; None: there is none.

    Raises:
        UsageError: the file is damaged.
    """
    file = folder / ROUND_TRIP
    return load(file, RoundTrip) if file.exists() else None


def read_trained_on(folder: Path) -> list[AnyTask]:
    """Read the tasks that an adapter was trained on.

    Raises:
        UsageError: they are not those that its manifest names.
    """
    tasks, named = read_tasks(folder / TRAINED_ON, "train again"), read_manifest(folder).trained_on
    if {task.scenario.digest for task in tasks} != set(named):
        raise UsageError(
            f"{folder / TRAINED_ON} does not hold the {len(named)} scenarios that {MANIFEST} "
            "names; train again: python -m finetune pipeline"
        )
    return tasks


def read_manifest(folder: Path) -> AdapterManifest:
    """Read an adapter's manifest.

    Raises:
        UsageError: it is damaged, or absent: training has not finished.
    """
    file = folder / MANIFEST
    if not file.is_file():
        raise UsageError(f"{file}: no finished adapter; make one: python -m finetune pipeline")
    return load(file, AdapterManifest)
