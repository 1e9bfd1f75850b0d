"""A training of a recipe against a bare PyTorch loop on the same batches."""

import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from cim_sim.config import UsageError, load
from cim_sim.paths import BENCH_TABLE, EMBEDDED_SPACE

if TYPE_CHECKING:
    from trl import SFTTrainer

SCENARIOS = 20
"""Of the embedded space; their networks come from the accuracy bench."""


def shares(
    config: Path, data: Path | None, steps: int, overrides: Sequence[str]
) -> dict[str, float]:
    """Time training steps, each beside a bare step on the same batch and weights.

    The two take turns, so that other programs on the machine disturb both alike, and the ratio is
    the median of the steps'; the first step of each is left out. A bare step is forward, backward,
    clipping and AdamW, with logits at the answers' tokens; the rest of a step is what the trainer
    adds to it. `data` None: a few dialogues are made.
    """
    from finetune.dataset import read_manifest
    from finetune.train import prepare

    with tempfile.TemporaryDirectory() as scratch:
        folder = data or _few_dialogues(Path(scratch) / "data")
        plain = ("save_strategy=no", "disable_tqdm=true", "gradient_accumulation_steps=1")
        settings = (*overrides, f"max_steps={steps + 1}", *plain)
        trainer, recipe, _ = prepare(config, settings, folder, Path(scratch) / "out")
        if recipe.adaptation.method != "sft" or read_manifest(folder).recipe.judges:
            raise UsageError(f"{config} with {folder}: bench times dialogues alone")
        whole, bare, tokens, answers = _timed(trainer)
    return {
        "tokens_per_s": tokens / sum(whole),
        "answers_per_s": answers / sum(whole),
        "bare_tokens_per_s": tokens / sum(bare),
        "bare_answers_per_s": answers / sum(bare),
        "ratio": median(pair[0] / pair[1] for pair in zip(bare, whole, strict=True)),
        "tokens_an_answer": tokens / answers,
        "peak_memory_gb": _peak_memory_gb(),
    }


def _timed(trainer: "SFTTrainer") -> tuple[list[float], list[float], int, int]:
    """Return seconds of each of the trainer's steps and of the bare ones, tokens, and answers."""
    import torch
    from transformers import TrainerCallback

    batches: list[dict[str, Any]] = []
    ends: list[float] = []
    seconds: list[float] = []
    compute_loss = trainer.compute_loss

    def kept(model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
        batches.append(dict(inputs))
        return compute_loss(model, inputs, *rest, **named)

    class Beside(TrainerCallback):  # type: ignore[misc]
        """Runs a bare step after each step of the trainer."""

        def on_step_end(self, *_: Any, model: Any, **__: Any) -> None:
            start = time.perf_counter()
            _bare_step(model, batches[-1], optimizer, trainer.accelerator.autocast())
            ends.append(time.perf_counter())
            seconds.append(ends[-1] - start)

    optimizer = torch.optim.AdamW(p for p in trainer.model.parameters() if p.requires_grad)
    trainer.compute_loss = kept
    trainer.add_callback(Beside())
    trainer.train()
    both = [later - earlier for earlier, later in pairwise(ends)]
    whole = [one - bare for one, bare in zip(both, seconds[1:], strict=True)]
    end = trainer.processing_class.eos_token_id
    tokens = sum(int(batch["attention_mask"].sum()) for batch in batches[1:])
    answers = sum(int((batch["labels"] == end).sum()) for batch in batches[1:])
    return whole, seconds[1:], tokens, answers


def _bare_step(model: Any, batch: dict[str, Any], optimizer: Any, autocast: Any) -> None:
    import torch

    from finetune.answer_loss import answer_loss

    optimizer.zero_grad()
    with autocast:
        total, count = answer_loss(model, model.get_output_embeddings(), batch)
    (total / count).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def _few_dialogues(folder: Path) -> Path:
    from cim_sim.space import Space
    from finetune.dataset import DatasetRecipe, make_dataset
    from finetune.traces import bench_traces, read_bench, write_traces
    from search.study.family import tasks as family

    space = load(EMBEDDED_SPACE, Space)
    tasks = family("train", SCENARIOS, space=space, bench_sigmas=True)
    trained = read_bench(BENCH_TABLE)
    write_traces(folder, tasks, [one for task in tasks for one in bench_traces(task, trained)])
    make_dataset(folder, DatasetRecipe(style="dialogue", examples=4))
    return folder


def _peak_memory_gb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
