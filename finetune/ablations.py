"""What each part of a judge's training buys: the same steps without it.

Each training is measured on every held-out scenario, so that two differ in pairs: how far the
accuracies that it expects are off, and how they correlate with the true ones within the scenario.
The last two are of the same shape as the base and were never trained on text: adapters on weights
drawn anew, of the recipe's rank and of rank 256 (78 million numbers); embeddings and norms stay as
they were drawn.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from math import log
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from cim_sim.config import Config, UsageError, load
from cim_sim.files import write_whole
from cim_sim.intervals import Interval, bootstrap_groups
from cim_sim.types import Floats
from finetune.asked import claim
from finetune.base import ensure
from finetune.dataset import DatasetManifest, read_split, require_tasks
from finetune.values import SAID
from search.llm.model import directory_digest

RECORD = "held_out.json"
FEWEST = 2
"""Held-out scenarios of which one can differ from another."""
SEED = 12
"""Of the weights that are drawn, and of the scenarios that are resampled."""

Name = Literal["whole", "unordered", "digits", "drawn", "drawn-256"]


class Part(NamedTuple):
    """A training that lacks something."""

    words: str
    overrides: tuple[str, ...] = ()
    drawn: bool = False


PARTS: dict[Name, Part] = {
    "whole": Part("whole"),
    "unordered": Part("without the order", ("ordered=false",)),
    "digits": Part("the digits, not their mean", ("mean=false",)),
    "drawn": Part("weights drawn anew", drawn=True),
    "drawn-256": Part("weights drawn anew, rank 256", ("lora_r=256", "lora_alpha=256"), drawn=True),
}

Each = Annotated[tuple[float, ...], Field(min_length=FEWEST)]


class Measured(Config):
    """Root mean square error and correlation in each held-out lesson, in their order."""

    error: Each
    correlation: Each


class Asked(Config):
    """What a training is to be."""

    part: Name
    data: str
    """Digest of the judgements."""
    base: str
    """Digest of the model that it began with."""
    recipe: dict[str, Any]
    """What was written in the recipe and on the command line."""


class Ablation(Config):
    """A training that is finished."""

    asked: Asked
    steps: int
    seconds: float
    before: Measured
    after: Measured


def require_judgements(data: Path) -> DatasetManifest:
    """Read the manifest of judgements that have something held out to compare on.

    Raises:
        UsageError: they are other lessons, or of fewer than two held-out scenarios.
    """
    manifest = require_tasks(data)
    if not manifest.recipe.judges or len(manifest.held_out) < FEWEST:
        raise UsageError(
            f"{data}: expected judgements with {FEWEST} or more held-out scenarios, found "
            f"{len(manifest.held_out)} of judged: {manifest.recipe.turns.judged}; type: python -m "
            f"finetune dataset --config configs/finetune/judgements.yaml --data {data}"
        )
    return manifest


def ablated(name: Name, config: Path, overrides: Sequence[str], data: Path, out: Path) -> Ablation:
    """Train without one part of `PARTS`, and measure before and after; once, if typed again.

    Raises:
        UsageError: recipe or data are not usable, or what is there is another training.
    """
    from finetune.recipe import load_recipe
    from finetune.train import fit, last_checkpoint, prepare

    folder, part, digest = out / name, PARTS[name], require_judgements(data).digest
    written = (*overrides, *part.overrides)
    model = load_recipe(config, written, folder).model
    base = ensure(str(model.model_name_or_path), model.model_revision)
    if part.drawn:
        base = drawn(base, out)
    changed = (*written, f"model_name_or_path={base}")
    recipe = load_recipe(config, changed, folder).written
    asked = Asked(part=name, data=digest, base=directory_digest(base), recipe=recipe)
    claim(folder, asked.model_dump(mode="json"))
    if (folder / RECORD).is_file():
        return load(folder / RECORD, Ablation)
    checkpoint = last_checkpoint(folder, resume=True, overwrite=False)
    trainer, resolved, _ = prepare(config, changed, data, folder)
    summary = fit(trainer, resolved, data, checkpoint)
    before, *_, after = map(_measured, trainer.evaluations)
    ablation = Ablation(
        asked=asked,
        steps=summary["steps"],
        seconds=summary["seconds"],
        before=before,
        after=after,
    )
    write_whole(folder / RECORD, ablation.model_dump_json(indent=1) + "\n")
    return ablation


def drawn(base: Path, out: Path) -> Path:
    """Return a base of the same shape and tokens whose weights are as before its first step."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from finetune.dequantise import save_tokenizer

    folder = out / f"drawn-as-{directory_digest(base)}"
    if not (folder / "tokenizer.json").is_file():
        torch.manual_seed(SEED)
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
        model.save_pretrained(str(folder))
        save_tokenizer(AutoTokenizer.from_pretrained(base), folder)
    return folder


def _measured(scenarios: Sequence[tuple[float, float]]) -> Measured:
    error, correlation = zip(*scenarios, strict=True)
    return Measured(error=error, correlation=correlation)


def by_weights(data: Path) -> Each:
    """Return the correlations of a rule that trains nothing: more weights, more accuracy."""
    import torch

    from finetune.judging import order

    def correlation(answers: Sequence[str]) -> float:
        designs, _, accuracies = zip(*(one.rpartition(SAID) for one in answers), strict=True)
        found = torch.tensor([float(f"0.{digits}") for digits in accuracies])
        return float(order(torch.tensor([_weights(design) for design in designs]), found))

    lessons = read_split(data, "validation")["completion"]
    return tuple(correlation([turn["content"] for turn in one]) for one in lessons)


def _weights(written: str) -> float:
    """Return the logarithm of how many weights the convolutions of a written design have."""
    design = json.loads(written)
    layers = design["layers"] if isinstance(design, dict) else design
    inputs = [1, *(channels for channels, _ in layers)]
    return log(sum(i * o * kernel**2 for i, (o, kernel) in zip(inputs, layers, strict=False)))


def scenarios_of(data: Path) -> list[str]:
    """Return the scenario of each held-out lesson."""
    lines = (data / "validation.jsonl").read_text(encoding="utf-8").splitlines()
    return [str(json.loads(line)["scenario"]) for line in lines]


def table(ablations: Sequence[Ablation], rule: Each, scenarios: Sequence[str]) -> str:
    """Return a Markdown table: each training, and what it orders worse than the first of them.

    Args:
        ablations: trainings on the same lessons.
        rule: correlations of `by_weights`.
        scenarios: of those lessons, which intervals are over.
    """
    mean = partial(mean_over, scenarios)
    whole = ablations[0]
    against = whole.after.correlation
    words = PARTS[whole.asked.part].words
    rows = [
        ("more weights, more accuracy: no model", "", "", *_ordered(mean, rule, against)),
        (f"{words}, untrained", "0", *_measures(mean, whole.before, against)),
        (words, str(whole.steps), *_measures(mean, whole.after, None)),
        *(
            (PARTS[one.asked.part].words, str(one.steps), *_measures(mean, one.after, against))
            for one in ablations[1:]
        ),
    ]
    head = ("training", "steps", "error", "correlation", "correlation lost")
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


Mean = Callable[[Sequence[float]], Interval]


def _measures(mean: Mean, found: Measured, against: Each | None) -> tuple[str, ...]:
    return (format(mean(found.error), ".3f"), *_ordered(mean, found.correlation, against))


def _ordered(mean: Mean, correlation: Each, against: Each | None) -> tuple[str, str]:
    """Return a correlation, and how much it is below another, in pairs."""
    lost = [theirs - ours for ours, theirs in zip(correlation, against or (), strict=False)]
    return format(mean(correlation), ".2f"), format(mean(lost), ".2f") if lost else ""


def mean_over(scenarios: Sequence[str], values: Sequence[float] | Floats) -> Interval:
    """Mean over lessons, and its interval when whole scenarios are resampled."""
    each, generator = np.asarray(values), np.random.default_rng(SEED)
    return bootstrap_groups(lambda rows: float(each[rows].mean()), scenarios, generator)
