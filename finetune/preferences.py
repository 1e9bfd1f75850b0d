"""Questions for learning from preferences (DPO) and from rewards (GRPO), out of the same traces.

Imitation teaches what a good answer is; what a bad one is it never says. A pair holds a good design
and a poor one as answers to the same history. A reward judges whatever the model itself answers,
and all answers of a group share one history.
"""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cim_sim.accuracy.surrogate import model as surrogates
from cim_sim.config import UsageError
from cim_sim.evaluate import Evaluator
from finetune.dataset import DatasetManifest, read_manifest
from finetune.dialogues import Dialogue, dialogues, repeats
from finetune.traces import Trace, read_traces
from search.llm.history import entry
from search.llm.prompt import Message, answer, reply
from search.llm.reply import ReplyError, parse_reply
from search.record.tasks import AnyTask, OwnTask, Task

if TYPE_CHECKING:
    from datasets import Dataset

PARSES, IN_SPACE, FEASIBLE, NEW = 0.1, 0.2, 0.4, 0.6
"""Rungs of the ladder: what an answer gets that comes so far and no further. From NEW to 1 counts
by how much of the way from the best design shown to the best known it goes."""


class Question(NamedTuple):
    """A history, and what an answer to it is held against."""

    task: AnyTask
    rows: Sequence[Trace]
    dialogue: Dialogue


def pairs(data: Path, split: str) -> "Dataset":
    """Return the columns `prompt`, `chosen` and `rejected` for DPO, all conversational.

    Raises:
        UsageError: the dataset is not one of dialogues.
    """
    from datasets import Dataset

    manifest = read_manifest(data)
    rng = np.random.default_rng([manifest.recipe.seed, 11])
    rows = []
    for question in _questions(data, manifest, split):
        poor = _worse(question)
        if poor:
            rejected = poor[int(rng.integers(len(poor)))]
            said = reply(entry(rejected.evaluation), value=manifest.recipe.turns.value)
            rows.append(
                {
                    "prompt": question.dialogue.prompt,
                    "chosen": question.dialogue.completion[:1],
                    "rejected": [{"role": "assistant", "content": said}],
                }
            )
    return Dataset.from_list(rows)


def questions(data: Path, split: str) -> "Dataset":
    """Return `prompt` for GRPO, and what `ladder` needs: `task`, `shown`, `start` and `best`.

    Raises:
        UsageError: the dataset is not one of dialogues, or a problem is the user's own.
    """
    from datasets import Dataset

    rows = []
    for question in _questions(data, read_manifest(data), split):
        if isinstance(question.task, OwnTask):
            raise UsageError(
                f"{data}: scenario {question.task.name} is your own, and the accuracy surrogate, "
                "which judges answers for method grpo, cannot judge it; use method sft or dpo"
            )
        poor = question.dialogue.poor
        scores = [row.evaluation.score for row in question.rows]
        rows.append(
            {
                "prompt": question.dialogue.prompt,
                "task": question.task.model_dump_json(),
                "shown": json.dumps([answer(one.design) for one in poor]),
                "start": max([-1.0, *(one.score for one in poor if one.score is not None)]),
                "best": max(scores),
            }
        )
    return Dataset.from_list(rows)


def ladder(
    completions: Sequence[list[Message]],
    task: Sequence[str],
    shown: Sequence[str],
    start: Sequence[float],
    best: Sequence[float],
    **_: Any,
) -> list[float]:
    """Return the reward of each answer, between 0 and 1, under the accuracy surrogate.

    Args:
        completions: what the model answered, one turn each.
        task: JSON of the task.
        shown: JSON list of the designs in the history.
        start: reward of the best of them, -1 where none is feasible.
        best: reward of the best design known.
    """
    texts = [completion[-1]["content"] for completion in completions]
    asked = zip(texts, task, shown, start, best, strict=True)
    return [
        _rung(text, _task(of), json.loads(seen), low, top) for text, of, seen, low, top in asked
    ]


def _rung(text: str, task: Task, shown: Sequence[str], start: float, best: float) -> float:
    try:
        design = parse_reply(text, task.space)
    except ReplyError as error:
        return PARSES if error.kind == "space" else 0.0
    judge = Evaluator(task.scenario, task.space, surrogates.load().answer)
    (evaluation,) = judge.evaluate([design])
    if evaluation.reward is None:
        return IN_SPACE
    if answer(design) in shown:
        return FEASIBLE
    way = (evaluation.reward - start) / max(best - start, 1e-6)
    return NEW + (1 - NEW) * min(max(way, 0.0), 1.0)


@cache
def _task(text: str) -> Task:
    return Task.model_validate_json(text)


def _questions(data: Path, manifest: DatasetManifest, split: str) -> Iterator[Question]:
    """Yield as many as the dataset has dialogues of that split, drawn with other random numbers."""
    recipe = manifest.recipe
    if recipe.style != "dialogue":
        raise UsageError(f"{data}: preferences are drawn from dialogues; write style: dialogue")
    wanted = set(manifest.trained_on if split == "train" else manifest.held_out)
    tasks, traces = read_traces(data)
    for number, task in enumerate(tasks):
        if task.scenario.digest in wanted:
            rows = traces.get((task.space.name, task.scenario.digest), [])
            rng = np.random.default_rng([recipe.seed, number, 11])
            count = recipe.examples * repeats(task, rows, recipe.turns)
            for one in islice(dialogues(task, rows, recipe.turns, rng), count):
                yield Question(task, rows, one)


def _worse(question: Question) -> list[Trace]:
    """Return what is neither shown nor as good as what is taught."""
    shown = {line.design for line in question.dialogue.poor}
    least = min(row.reward for row in question.dialogue.taught)
    return [
        row for row in question.rows if row.reward < least and row.evaluation.design not in shown
    ]
