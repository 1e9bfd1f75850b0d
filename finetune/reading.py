"""How far an author of designs reads results: what its answer costs when they are swapped.

A model that answers by the scenario alone, or by what it remembers, is as sure of its next design
whatever became of the earlier ones. So in held-out dialogues every result is put behind another
design, and the loss of the last good design is taken with both: how far it rises is what results
tell the model. Where facts are hidden they have more to tell.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from pydantic import model_validator

from cim_sim.config import Config, UsageError
from cim_sim.progress import counted
from cim_sim.types import Bools, Floats
from finetune.ablations import mean_over, scenarios_of
from finetune.dataset import DatasetManifest, read_manifest, read_split
from finetune.inference import encode, token_logprobs
from finetune.values import SAID
from search.llm.prompt import Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SEED = 15
"""Of which result goes where."""
DECIMALS = 4
"""Of the nats that a file keeps."""


class Question(NamedTuple):
    """A dialogue up to its last design, as it was and with its results swapped."""

    told: list[Message]
    swapped: list[Message]
    design: str
    scenario: str
    hidden: bool
    """Whether something of the scenario is unknown."""


class Losses(Config):
    """Nats of each design, in the order of the questions."""

    told: tuple[float, ...]
    swapped: tuple[float, ...]


class Reading(Config):
    """What models made of the same questions."""

    data: str
    """Digest of the dialogues."""
    scenarios: tuple[str, ...]
    hidden: tuple[bool, ...]
    models: dict[str, Losses]
    """By the name of their directory; the others are compared with the first."""

    @model_validator(mode="after")
    def _are_of_the_same_questions(self) -> Self:
        every = [
            self.hidden,
            *(part for one in self.models.values() for part in (one.told, one.swapped)),
        ]
        if any(len(part) != len(self.scenarios) for part in every):
            raise ValueError("every model answers every question")
        return self


def require_dialogues(data: Path) -> DatasetManifest:
    """Read the manifest of dialogues.

    Raises:
        UsageError: they are other lessons, in which no result precedes an answer.
    """
    manifest = read_manifest(data)
    if manifest.recipe.style != "dialogue" or manifest.recipe.judges:
        raise UsageError(
            f"{data}: expected dialogues, found style {manifest.recipe.style} with judged: "
            f"{manifest.recipe.turns.judged}; type: python -m finetune dataset --config "
            f"configs/finetune/dialogues.yaml --data {data}"
        )
    return manifest


def questions(data: Path) -> list[Question]:
    """Return a question of each held-out dialogue in which two designs have different results.

    Raises:
        UsageError: there is none.
    """
    rng = np.random.default_rng(SEED)
    found = []
    for row, scenario in zip(read_split(data, "validation"), scenarios_of(data), strict=True):
        said: list[Message] = [*row["prompt"], *row["completion"]]
        turns, last = said[:-1], said[-1]
        other = exchanged(turns, rng)
        if other != turns:
            unknown = any(line.endswith(": unknown.") for line in turns[0]["content"].split("\n"))
            design, _, _ = last["content"].partition(SAID)
            found.append(Question(turns, other, design, scenario, unknown))
    if not found:
        raise UsageError(f"{data}: no held-out dialogue has two results that could be swapped")
    return found


def exchanged(turns: Sequence[Message], rng: np.random.Generator) -> list[Message]:
    """Return a dialogue in which each result stands behind another design than it did.

    Args:
        turns: the scenario, and then design and result by turns.
        rng: draws the circle in which results are handed on.
    """
    circle = [int(place) for place in rng.permutation(range(2, len(turns), 2))]
    givers = dict(zip(circle, np.roll(circle, 1), strict=True))
    return [turns[givers.get(place, place)] for place in range(len(turns))]


def losses(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", asked: Sequence[Question]
) -> Losses:
    """Return the nats that the design of each question costs a model."""

    def nats(prompt: Sequence[Message], design: str) -> float:
        prompt_ids, answer_ids = encode(tokenizer, prompt, design)
        return round(-sum(token_logprobs(model, prompt_ids, answer_ids[:-1])), DECIMALS)

    found = []
    with counted("dialogues", len(asked)) as step:
        for one in asked:
            found.append((nats(one.told, one.design), nats(one.swapped, one.design)))
            step(one.scenario)
    told, swapped = zip(*found, strict=True)
    return Losses(told=told, swapped=swapped)


def table(reading: Reading) -> str:
    """Return a Markdown table: of each model the loss, and how far swapped results raise it.

    Intervals are over scenarios; the last two columns compare with the first model, in pairs.
    """
    first, hidden = next(iter(reading.models.values())), np.array(reading.hidden)
    head = (
        "model",
        "facts",
        "dialogues",
        "nats",
        "more when swapped",
        "nats saved",
        "rises more by",
    )
    rows = [head, ("---",) * len(head)]
    for name, one in reading.models.items():
        for words, chosen in (("told", ~hidden), ("hidden", hidden)):
            if chosen.any():
                mean = partial(mean_over, np.array(reading.scenarios)[chosen])
                (loss, rise), (loss_1, rise_1) = (_both(it, chosen) for it in (one, first))
                pairs = [] if one is first else [mean(loss_1 - loss), mean(rise - rise_1)]
                cells = [f"{it:.2f}" for it in (mean(loss), mean(rise), *pairs)]
                cells += [""] * (4 - len(cells))
                rows.append((name, words, str(chosen.sum()), *cells))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _both(one: Losses, chosen: Bools) -> tuple[Floats, Floats]:
    told, swapped = np.array(one.told)[chosen], np.array(one.swapped)[chosen]
    return told, swapped - told


def read_by(data: Path, models: Mapping[str, Path]) -> Reading:
    """Put the questions of `data` to models, directories of a base or of an adapter.

    Raises:
        UsageError: data or a model are not usable.
    """
    import torch

    from finetune.merge import load_model
    from search.llm.precision import fastest

    for folder in models.values():
        if not any((folder / file).is_file() for file in ("adapter_config.json", "config.json")):
            raise UsageError(f"{folder}: holds neither an adapter nor a model")
    manifest, asked = require_dialogues(data), questions(data)
    found, quick = {}, fastest(use_cpu=True).dtype == "bfloat16"
    for name, folder in models.items():
        print(f"=== {name}", flush=True)
        model, tokenizer = load_model(folder)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=quick):
            found[name] = losses(model, tokenizer, asked)
    return Reading(
        data=manifest.digest,
        scenarios=tuple(one.scenario for one in asked),
        hidden=tuple(one.hidden for one in asked),
        models=found,
    )
