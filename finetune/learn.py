"""From a data set to a served, checked model: training, merge, round trip."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from search.llm.model import ModelConfig


class Served(NamedTuple):
    """How the tuned model and its base are served."""

    tuned: ModelConfig
    base: ModelConfig


def learn(
    config: Path, overrides: Sequence[str], data: Path, out: Path, served: Served, *, resume: bool
) -> dict[str, Any]:
    """Train an adapter on `data`, merge it, check the round trip, and return what a summary says.

    Args:
        config: YAML file of the recipe.
        overrides: single settings that win over it.
        data: directory of the dataset.
        out: directory of the adapter.
        served: the models of the round trip; the tuned one is taken from `out`.
        resume: go on from the last checkpoint there.

    Raises:
        UsageError: recipe or data are not usable.
        Stopped: the merged model differs from the adapter.
    """
    from finetune.merge import merge_adapter
    from finetune.roundtrip import check, placed
    from finetune.train import fit, last_checkpoint, prepare

    seconds: dict[str, float] = {}
    with stage("train", seconds):
        trainer, recipe, counts = prepare(config, overrides, data, out)
        print(", ".join(f"{name} {value}" for name, value in counts.known.items()))
        summary = fit(trainer, recipe, data, last_checkpoint(out, resume, overwrite=True))
    with stage("merge", seconds):
        difference = merge_adapter(out)
    with stage("round trip", seconds):
        result = check(out, placed(served.tuned, out), served.base)
    for fault in result.faults:
        print(f"round trip: {fault}")
    return {
        "adapter": str(out),
        "conversations": counts.examples,
        "steps": summary["steps"],
        "dtype": recipe.precision.dtype,
        "losses": summary["losses"],
        "merge_difference": round(difference, 5),
        "roundtrip_passed": result.passed,
        "tuned_against_base": result.tuned_against_base,
        "tuned_against_transformers": result.tuned_against_transformers,
        "seconds": seconds,
    }


@contextmanager
def stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Say that a stage begins, and note how long it took."""
    print(f"== {name}", flush=True)
    started = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - started, 1)
