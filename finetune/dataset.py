"""From traces to conversations: an earlier history in, a strictly better design out.

One example is one question of the search, written by the search's own renderer: some of a
scenario's evaluated designs as history, and as answer one of the best designs of that scenario,
better than everything shown. Histories may be empty, mixed, or hold nothing feasible.
"""

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from cim_sim.config import Config, UsageError
from finetune.dialogues import Turns, dialogues, entry
from finetune.traces import Problem, Trace
from search.llm.prompt import Message, Style, answer, render, renderer_digest

if TYPE_CHECKING:
    from datasets import Dataset

SPLITS = ("train", "validation")
MANIFEST = "manifest.json"


class DatasetRecipe(Config):
    """How conversations are drawn from traces."""

    examples: Annotated[int, Field(ge=1)] = 12
    """Conversations about each scenario."""
    targets: Annotated[int, Field(ge=1)] = 3
    """Answers are drawn from so many of the best designs of a scenario, the best most often."""
    longest_history: Annotated[int, Field(ge=1)] = 20
    empty: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of conversations without history: the first step of a search."""
    infeasible: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share whose history holds nothing feasible, where the traces have such designs."""
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of scenarios kept for validation."""
    style: Style = "codesign"
    turns: Turns = Turns()
    """Of the style `dialogue`, where one conversation teaches several answers."""
    seed: int = 0


class Example(NamedTuple):
    """One conversation about one scenario; what the assistant says in `completion` is taught."""

    prompt: list[Message]
    completion: list[Message]
    scenario: str
    space: str
    source: str
    evidence: str
    history: int
    """Number of designs that were given as history."""
    infeasible: bool
    """The history is not empty and holds nothing feasible."""


class DatasetManifest(Config):
    """What a dataset holds; `digest` covers the conversations of both splits."""

    digest: str
    renderer: str
    trained_on: tuple[str, ...]
    held_out: tuple[str, ...]
    counts: dict[str, int]
    sources: dict[str, int]
    """Conversations of both splits by where the answer's accuracy comes from."""
    recipe: DatasetRecipe


def build(
    problems: Sequence[Problem],
    traces: dict[tuple[str, str], list[Trace]],
    recipe: DatasetRecipe,
) -> dict[str, list[Example]]:
    """Return both splits, cut by scenario, without repeated conversations.

    Raises:
        UsageError: no scenario has a feasible design.
    """
    splits: dict[str, list[Example]] = {name: [] for name in SPLITS}
    held = _held_out([problem.scenario.digest for problem in problems], recipe)
    for number, problem in enumerate(problems):
        rng = np.random.default_rng([recipe.seed, number])
        rows = traces.get((problem.space.name, problem.scenario.digest), [])
        split = "validation" if problem.scenario.digest in held else "train"
        drawn = _dialogues if recipe.style == "dialogue" else _examples
        splits[split] += drawn(problem, rows, recipe, rng)
    if not splits["train"]:
        raise UsageError(
            "no training scenario has a feasible design in its traces: more trained networks are "
            "needed (make bench-accuracy N=150), or scenarios with looser limits"
        )
    return {name: _distinct(examples) for name, examples in splits.items()}


def write(folder: Path, splits: dict[str, list[Example]], recipe: DatasetRecipe) -> DatasetManifest:
    """Write prompt/completion and `messages` lines, card and manifest, the manifest last."""
    (folder / "messages").mkdir(parents=True, exist_ok=True)
    for name, examples in splits.items():
        rows = [example._asdict() for example in examples]
        (folder / f"{name}.jsonl").write_text(_lines(rows), encoding="utf-8")
        views = [{"messages": _marked(example)} for example in examples]
        (folder / "messages" / f"{name}.jsonl").write_text(_lines(views), encoding="utf-8")
    every = [example for examples in splits.values() for example in examples]
    sources = [example.source for example in every]
    manifest = DatasetManifest(
        digest=_digest(folder),
        renderer=renderer_digest(recipe.style),
        trained_on=tuple(sorted({example.scenario for example in splits["train"]})),
        held_out=tuple(sorted({example.scenario for example in splits["validation"]})),
        counts={name: len(examples) for name, examples in splits.items()},
        sources={source: sources.count(source) for source in sorted(set(sources))},
        recipe=recipe,
    )
    (folder / "README.md").write_text(_card(manifest, every), encoding="utf-8")
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return manifest


def read_manifest(folder: Path) -> DatasetManifest:
    """Read the manifest, and check that the conversations are those it speaks of.

    Raises:
        UsageError: it is absent, or the conversations or the renderer changed since.
    """
    file = folder / MANIFEST
    if not file.is_file():
        raise UsageError(f"{file} is missing; make the dataset: python -m finetune dataset")
    manifest = DatasetManifest.model_validate_json(file.read_text(encoding="utf-8"))
    if _digest(folder) != manifest.digest:
        raise UsageError(f"{folder}: conversations differ from {MANIFEST}; make the dataset again")
    if manifest.renderer != renderer_digest(manifest.recipe.style):
        raise UsageError(
            f"{folder}: written by renderer {manifest.renderer}, the search now uses "
            f"{renderer_digest(manifest.recipe.style)}; make it again: python -m finetune dataset"
        )
    return manifest


def read_split(folder: Path, name: str) -> "Dataset":
    """Return one split as a Hugging Face dataset with the columns `prompt` and `completion`."""
    from datasets import Dataset

    read_manifest(folder)
    lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = (json.loads(line) for line in lines)
    return Dataset.from_list([{key: row[key] for key in ("prompt", "completion")} for row in rows])


def _examples(
    problem: Problem, rows: Sequence[Trace], recipe: DatasetRecipe, rng: np.random.Generator
) -> Iterator[Example]:
    feasible = sorted((row for row in rows if row.evaluation.reward is not None), key=_reward)
    barred = [row for row in rows if row.evaluation.infeasible is not None]
    if not feasible:
        return
    targets = feasible[-recipe.targets :][::-1]
    weights = 1 / np.arange(1, len(targets) + 1)
    for _ in range(recipe.examples):
        target = targets[int(rng.choice(len(targets), p=weights / weights.sum()))]
        worse = [row for row in feasible if _reward(row) < _reward(target)]
        shown = _history(worse, barred, recipe, rng)
        yield _example(problem, shown, target, recipe.style)


def _dialogues(
    problem: Problem, rows: Sequence[Trace], recipe: DatasetRecipe, rng: np.random.Generator
) -> Iterator[Example]:
    """Yield dialogues; the last answer stands for where all of them come from."""
    for one in islice(dialogues(problem, rows, recipe.turns, rng), recipe.examples):
        yield Example(
            prompt=one.prompt,
            completion=one.completion,
            scenario=problem.scenario.digest,
            space=problem.space.name,
            source=one.taught[-1].source,
            evidence=one.taught[-1].evidence,
            history=len(one.poor),
            infeasible=bool(one.poor) and all(entry.score is None for entry in one.poor),
        )


def _history(
    worse: Sequence[Trace], barred: Sequence[Trace], recipe: DatasetRecipe, rng: np.random.Generator
) -> list[Trace]:
    """Draw what a search may have seen before it finds the target."""
    # More short histories than long ones: they cost less, and a search begins with them.
    kind, length = rng.random(), 1 + int(recipe.longest_history * rng.random() ** 2)
    if kind < recipe.empty:
        return []
    if kind < recipe.empty + recipe.infeasible and barred:
        pool: list[Trace] = list(barred)
    else:
        pool = [*worse, *barred]
        # Half of the time the history has already come close, as late in a search.
        if rng.random() < 0.5:
            pool = sorted(pool, key=_reward)[-3 * length :]
    order = rng.permutation(len(pool))[:length]
    return [pool[int(place)] for place in order]


def _example(problem: Problem, shown: Sequence[Trace], target: Trace, style: Style) -> Example:
    history = [entry(row) for row in shown]
    reply = {"role": "assistant", "content": answer(target.evaluation.design)}
    return Example(
        prompt=render(problem.scenario, problem.space, history, style),
        completion=[reply],
        scenario=problem.scenario.digest,
        space=problem.space.name,
        source=target.source,
        evidence=target.evidence,
        history=len(history),
        infeasible=bool(history) and all(one.score is None for one in history),
    )


def _reward(row: Trace) -> float:
    return row.evaluation.score


def _held_out(scenarios: Sequence[str], recipe: DatasetRecipe) -> set[str]:
    ordered = sorted(set(scenarios))
    rng = np.random.default_rng([recipe.seed, 7])
    count = min(len(ordered) - 1, max(1, round(recipe.held_out * len(ordered))))
    return {ordered[int(place)] for place in rng.permutation(len(ordered))[:count]}


def _distinct(examples: Sequence[Example]) -> list[Example]:
    keyed = {json.dumps([e.prompt, e.completion]): e for e in examples}
    return list(keyed.values())


def _marked(example: Example) -> list[dict[str, Any]]:
    """Return all turns; `train` marks those that carry loss, in the word that Axolotl knows."""
    taught = [message["role"] == "assistant" for message in example.completion]
    marks = [False] * len(example.prompt) + taught
    turns = [*example.prompt, *example.completion]
    return [{**turn, "train": mark} for turn, mark in zip(turns, marks, strict=True)]


def _lines(rows: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _digest(folder: Path) -> str:
    parts = [(folder / f"{name}.jsonl").read_bytes() for name in SPLITS]
    return sha256(b"\0".join(parts)).hexdigest()[:16]


def _card(manifest: DatasetManifest, examples: Sequence[Example]) -> str:
    from jinja2 import Environment

    template = Path(__file__).with_name("dataset_card.md.jinja").read_text(encoding="utf-8")
    environment = Environment(keep_trailing_newline=True, autoescape=False)
    spaces = [example.space for example in examples]
    return environment.from_string(template).render(
        manifest=manifest,
        spaces={space: spaces.count(space) for space in sorted(set(spaces))},
        empty=sum(example.history == 0 for example in examples),
        infeasible=sum(example.infeasible for example in examples),
        total=len(examples),
        example=examples[0],
    )
