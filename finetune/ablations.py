"""What each part of a judge's training buys: the same steps without it.

Each training is measured on every held-out scenario, so that two differ in pairs: how far the
accuracies that it expects are off, and how they correlate with the true ones within the scenario.
The last two are of the same shape as the base and were never trained on text: adapters of the
recipe's rank on weights drawn anew, and adapters of nearly full rank, which may change all of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from cim_sim.config import Config, UsageError, load
from cim_sim.files import write_whole
from cim_sim.intervals import Interval, bootstrap_groups

if TYPE_CHECKING:
    from finetune.recipe import Recipe

RECORD = "held_out.json"
BASE = "model_name_or_path"
DRAWN = "drawn-base"
"""Directory of the base whose weights are drawn anew."""
SEED = 12
"""Of the weights that are drawn, and of the scenarios that are resampled."""

Name = Literal["whole", "unordered", "digits", "drawn", "drawn-256"]


class Part(NamedTuple):
    """A training that lacks something."""

    words: str
    overrides: tuple[str, ...] = ()
    drawn: bool = False


PARTS: dict[Name, Part] = {
    "whole": Part("all parts"),
    "unordered": Part("without the order", ("ordered=false",)),
    "digits": Part("the digits, not their mean", ("mean=false",)),
    "drawn": Part("weights drawn anew", drawn=True),
    "drawn-256": Part("weights drawn anew, rank 256", ("lora_r=256", "lora_alpha=256"), drawn=True),
}

Each = Annotated[tuple[float, ...], Field(min_length=2)]


class Measured(Config):
    """Root mean square error and correlation in each held-out lesson, in their order."""

    error: Each
    correlation: Each


class Ablation(Config):
    """A training, and its base before it."""

    part: Name
    data: str
    """Digest of the judgements."""
    recipe: dict[str, Any]
    """What was written in the recipe and on the command line, without the base's directory."""
    steps: int
    seconds: float
    before: Measured
    after: Measured


def ablated(name: Name, config: Path, overrides: Sequence[str], data: Path, out: Path) -> Ablation:
    """Train without one part of `PARTS`, and measure before and after; once, if typed again.

    Raises:
        UsageError: recipe or data are not usable, or what is there is a training of others.
    """
    from finetune.dataset import read_manifest
    from finetune.recipe import load_recipe
    from finetune.train import fit, last_checkpoint, prepare

    folder, part = out / name, PARTS[name]
    changed = (*overrides, *part.overrides)
    asked = load_recipe(config, changed, folder)
    written, digest = _without_base(asked), read_manifest(data).digest
    if (folder / RECORD).is_file():
        done = load(folder / RECORD, Ablation)
        if (done.recipe, done.data) != (written, digest):
            raise UsageError(
                f"{folder} holds a training by another recipe or data: name another --out"
            )
        return done
    if part.drawn:
        base = drawn(str(asked.model.model_name_or_path), out / DRAWN)
        changed = (*changed, f"{BASE}={base}")
    checkpoint = last_checkpoint(folder, resume=True, overwrite=False)
    trainer, recipe, _ = prepare(config, changed, data, folder)
    summary = fit(trainer, recipe, data, checkpoint)
    before, *_, after = map(_measured, trainer.evaluations)
    facts = {"steps": summary["steps"], "seconds": summary["seconds"]}
    ablation = Ablation(part=name, data=digest, recipe=written, before=before, after=after, **facts)
    write_whole(folder / RECORD, ablation.model_dump_json(indent=1) + "\n")
    return ablation


def _without_base(recipe: "Recipe") -> dict[str, Any]:
    return {key: value for key, value in recipe.written.items() if key != BASE}


def drawn(base: str, folder: Path) -> Path:
    """Return a base of the same shape and tokens whose weights are as before its first step."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from finetune.base import ensure
    from finetune.dequantise import save_tokenizer

    if not (folder / "tokenizer.json").is_file():
        source = ensure(base)
        torch.manual_seed(SEED)
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source))
        model.save_pretrained(str(folder))
        save_tokenizer(AutoTokenizer.from_pretrained(source), folder)
    return folder


def _measured(scenarios: Sequence[tuple[float, float]]) -> Measured:
    error, correlation = zip(*scenarios, strict=True)
    return Measured(error=error, correlation=correlation)


def table(ablations: Sequence[Ablation]) -> str:
    """Return a Markdown table: each training, and its difference to the first of them."""
    head = "| training | steps | error | correlation | correlation lost | "
    whole = ablations[0]
    rows = [_row("untuned", 0, whole.before, whole.after)]
    for one in ablations:
        against = None if one is whole else whole.after
        rows.append(_row(PARTS[one.part].words, one.steps, one.after, against))
    return "\n".join([head.rstrip(), "| --- | --- | --- | --- | --- |", *rows])


def _row(words: str, steps: int, found: Measured, against: Measured | None) -> str:
    cells = [format(_mean(found.error), ".3f"), format(_mean(found.correlation), ".2f"), ""]
    if against:
        lost = np.subtract(against.correlation, found.correlation)
        cells[-1] = format(_mean(lost.tolist()), ".2f")
    return f"| {' | '.join([words, str(steps), *cells])} |"


def _mean(values: Sequence[float]) -> Interval:
    """Mean over scenarios, and its interval when these are resampled."""
    each = np.asarray(values)
    generator = np.random.default_rng(SEED)
    return bootstrap_groups(lambda rows: float(each[rows].mean()), range(len(each)), generator)
