"""From traces to conversations: an earlier history in, a strictly better design out.

One example is one question of the search, written by the search's own renderer: some of a
scenario's evaluated designs as history, and as answer one of the best designs of that scenario,
better than everything shown. Histories may be empty, mixed, or hold nothing feasible.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, Field, field_validator

from cim_sim import cards
from cim_sim.config import Config, UsageError, load
from cim_sim.files import read, write_whole
from cim_sim.types import Natural
from finetune.dialogues import Dialogue, Turns, dialogues, repeats
from finetune.judgements import by_chip, judgements
from finetune.targets import EVALUATIONS
from finetune.traces import SCENARIOS, Trace, read_traces
from search.llm.examples import renderer_digest
from search.llm.history import entry
from search.llm.prompt import Message, Style, answer, render
from search.optimizers import lookup
from search.record.given import Given, regression
from search.record.tasks import AnyTask, OwnTask, Task, read_tasks

if TYPE_CHECKING:
    from datasets import Dataset

SPLITS = ("train", "validation")
MANIFEST = "manifest.json"
MEND = "make the dataset again: python -m finetune dataset"
MOST = 8
"""Spaces that a card names."""


class DatasetRecipe(Config):
    """How conversations are drawn from traces."""

    examples: Annotated[int, Field(ge=1, le=10_000)] = 12
    """Conversations about each scenario."""
    targets: Annotated[int, Field(ge=1)] = 3
    """Answers are drawn from so many of the best designs of a scenario, the best most often."""
    longest_history: Annotated[int, Field(ge=1, le=10_000)] = 20
    empty: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of conversations without history: the first step of a search."""
    infeasible: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share whose history holds nothing feasible, where the traces have such designs."""
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of scenarios kept for validation."""
    style: Style = "codesign"
    turns: Turns = Turns()
    """Of the style `dialogue`, where one conversation teaches several answers."""
    seed: Natural = 0

    @property
    def judges(self) -> bool:
        """Whether accuracies alone are taught, each of a design by itself."""
        return self.style == "dialogue" and self.turns.judged > 0


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


class Conversation(BaseModel):
    """What a trainer reads of a line that holds an `Example`."""

    prompt: Annotated[list[dict[str, str]], Field(min_length=1)]
    completion: Annotated[list[dict[str, str]], Field(min_length=1)]

    @field_validator("prompt", "completion")
    @classmethod
    def _are_messages(cls, turns: list[Message]) -> list[Message]:
        if any(turn.keys() != {"role", "content"} for turn in turns):
            raise ValueError("every turn is a role and a content")
        return turns


class DatasetManifest(Config):
    """What a dataset holds; `digest` covers the conversations of both splits."""

    digest: str
    renderer: str
    trained_on: tuple[str, ...]
    held_out: tuple[str, ...]
    counts: dict[str, Natural]
    given: Given = Given()
    """What the traces cost."""
    sources: dict[str, int]
    """Conversations of both splits by where the answer's accuracy comes from."""
    recipe: DatasetRecipe

    @field_validator("counts")
    @classmethod
    def _of_both_splits(cls, counts: dict[str, int]) -> dict[str, int]:
        if counts.keys() != set(SPLITS):
            raise ValueError(f"expected {' and '.join(SPLITS)}, found {', '.join(counts)}")
        return counts


def build(
    tasks: Sequence[AnyTask],
    traces: dict[tuple[str, str], list[Trace]],
    recipe: DatasetRecipe,
) -> dict[str, list[Example]]:
    """Return both splits, cut by scenario, without repeated conversations.

    Raises:
        UsageError: no scenario has what is to be taught, or only one.
    """
    require_known(tasks, recipe)
    splits: dict[str, list[Example]] = {name: [] for name in SPLITS}
    teaching = _teaching(traces, recipe)
    held = _held_out(teaching, recipe)
    for number, task in enumerate(tasks):
        rng = np.random.default_rng([recipe.seed, number])
        rows = traces.get((task.space.name, task.scenario.digest), [])
        split = "validation" if task.scenario.digest in held else "train"
        count = recipe.examples
        if recipe.judges:
            drawn = judgements(task, rows, recipe.turns, rng)
        elif recipe.style == "dialogue":
            drawn = dialogues(task, rows, recipe.turns, rng)
            count *= repeats(task, rows, recipe.turns)
        else:
            drawn = _questions(task, rows, recipe, rng)
        splits[split] += [_example(task, one) for one in islice(drawn, count)]
    if not splits["train"]:
        lacking = "two designs with an accuracy" if recipe.judges else "a feasible design"
        raise UsageError(
            f"no training scenario has {lacking} in its traces: more trained networks are needed "
            "(make bench-accuracy N=150), or scenarios with looser limits"
        )
    if not splits["validation"]:
        raise UsageError(
            "one scenario alone teaches, and splits are cut by scenario: nothing would be left to "
            "validate on; search another scenario and add its traces"
        )
    told = _judged if recipe.judges else _conversation
    return {name: _distinct(examples, told) for name, examples in splits.items()}


def require_known(tasks: Sequence[AnyTask], recipe: DatasetRecipe) -> None:
    """Raise UsageError where a judge would be taught problems of the user's own alone."""
    own = [task.name for task in tasks if isinstance(task, OwnTask)]
    if recipe.judges and own and len(own) == len(tasks):
        raise UsageError(
            f"{', '.join(own[:3])}: your own, and a judge knows chips of this simulator alone; "
            "train an author: data by configs/finetune/dialogues-own.yaml, training by "
            "configs/finetune/smollm2.yaml (make finetune CONFIG=configs/finetune/smollm2.yaml)"
        )


def make_dataset(data: Path, recipe: DatasetRecipe) -> DatasetManifest:
    """Draw conversations from the traces in `data` and write them there."""
    tasks, traces = read_traces(data)
    given = behind(traces)
    looks_up = any(isinstance(task, Task) for task in tasks) and recipe.turns.similar
    if recipe.style == "dialogue" and looks_up:
        given += lookup.behind(recipe.turns.table)
    return write(data, build(tasks, traces, recipe), recipe, given)


def behind(traces: dict[tuple[str, str], list[Trace]]) -> Given:
    """Return what the traces cost: of a searched task all that its search evaluated.

    A training that a run paid for counts as one evaluation and one training.
    """
    rows = [row for found in traces.values() for row in found]
    searched = sum(any(row.source == "surrogate" for row in found) for found in traces.values())
    evaluations = sum(row.source != "surrogate" for row in rows) + EVALUATIONS * searched
    trained = sum(
        row.evidence.startswith("trained ") and row.evaluation.accuracy is not None for row in rows
    )
    if all(row.evaluation.design.named for row in rows):
        return Given(trace_evaluations=evaluations)  # of the user's own alone: no table behind it
    given = regression(evaluations)
    return given.model_copy(update={"trainings": given.trainings + trained})


def write(
    folder: Path,
    splits: dict[str, list[Example]],
    recipe: DatasetRecipe,
    given: Given = Given(),  # noqa: B008 (frozen)
) -> DatasetManifest:
    """Write prompt/completion and `messages` lines, card and manifest, the manifest last."""
    (folder / "messages").mkdir(parents=True, exist_ok=True)
    for name, examples in splits.items():
        rows = [example._asdict() for example in examples]
        (folder / f"{name}.jsonl").write_text(_lines(rows), encoding="utf-8")
        views = [{"messages": turns} for example in examples for turns in _marked(example, recipe)]
        (folder / "messages" / f"{name}.jsonl").write_text(_lines(views), encoding="utf-8")
    every = [example for examples in splits.values() for example in examples]
    manifest = DatasetManifest(
        digest=_digest(folder),
        renderer=renderer_digest(recipe.style),
        trained_on=tuple(sorted({example.scenario for example in splits["train"]})),
        held_out=tuple(sorted({example.scenario for example in splits["validation"]})),
        counts={name: len(examples) for name, examples in splits.items()},
        given=given,
        sources=_counts(example.source for example in every),
        recipe=recipe,
    )
    write_whole(folder / "README.md", _card(manifest, every))
    write_whole(folder / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
    return manifest


def read_manifest(folder: Path) -> DatasetManifest:
    """Read the manifest, and check that the conversations are those it speaks of.

    Raises:
        UsageError: it is absent, or the conversations or the renderer changed since.
    """
    file = folder / MANIFEST
    if not file.is_file():
        raise UsageError(
            f"{file} is missing; make the dataset: python -m finetune dataset --data {folder} "
            "--config FILE (configs/finetune/judgements.yaml for a judge, else dialogues.yaml)"
        )
    manifest = load(file, DatasetManifest)
    absent = [name for name in SPLITS if not (folder / f"{name}.jsonl").is_file()]
    if absent:
        raise UsageError(f"{folder / absent[0]}.jsonl is missing: {MEND}")
    if _digest(folder) != manifest.digest:
        raise UsageError(f"{folder}: conversations differ from {MANIFEST}; make the dataset again")
    if manifest.renderer != renderer_digest(manifest.recipe.style):
        raise UsageError(
            f"{folder}: written by renderer {manifest.renderer}, the search now uses "
            f"{renderer_digest(manifest.recipe.style)}; make it again: python -m finetune dataset"
        )
    return manifest


def require_tasks(folder: Path) -> DatasetManifest:
    """Read the manifest, and check that the tasks of all conversations lie beside it.

    Raises:
        UsageError: as `read_manifest`, or one is missing: nobody would know what was learnt.
    """
    manifest = read_manifest(folder)
    there = {task.scenario.digest for task in read_tasks(folder / SCENARIOS)}
    lacking = set(manifest.trained_on) - there
    if lacking:
        raise UsageError(
            f"{folder / SCENARIOS}: {len(lacking)} of the {len(manifest.trained_on)} scenarios "
            f"that {MANIFEST} names are missing: {MEND}"
        )
    return manifest


def read_split(folder: Path, name: str) -> "Dataset":
    """Return one split as a Hugging Face dataset with the columns `prompt` and `completion`."""
    from datasets import Dataset

    file, expected = folder / f"{name}.jsonl", read_manifest(folder).counts[name]
    conversations = read(file, Conversation, MEND).records
    if not conversations or len(conversations) != expected:
        raise UsageError(f"{file}: holds {len(conversations)} conversations of {expected}: {MEND}")
    return Dataset.from_list([one.model_dump() for one in conversations])


def _questions(
    task: AnyTask, rows: Sequence[Trace], recipe: DatasetRecipe, rng: np.random.Generator
) -> Iterator[Dialogue]:
    """Yield single questions without end; none where no design is feasible."""
    # A design that was evaluated twice must not stand in the history of its own answer.
    rows = list({row.evaluation.design: row for row in rows}.values())
    feasible = sorted(filter(_feasible, rows), key=lambda row: row.reward)
    infeasible = [row for row in rows if row.evaluation.infeasible is not None]
    targets = feasible[-recipe.targets :][::-1]
    weights = 1 / np.arange(1, len(targets) + 1)
    while feasible:
        target = targets[int(rng.choice(len(targets), p=weights / weights.sum()))]
        worse = [row for row in feasible if row.reward < target.reward]
        shown = [entry(row.evaluation) for row in _history(worse, infeasible, recipe, rng)]
        prompt = render(task.scenario, task.space, shown, recipe.style)
        reply = {"role": "assistant", "content": answer(target.evaluation.design)}
        yield Dialogue(prompt, [reply], shown, [target])


def _history(
    worse: Sequence[Trace],
    infeasible: Sequence[Trace],
    recipe: DatasetRecipe,
    rng: np.random.Generator,
) -> list[Trace]:
    """Draw what a search may have seen before it finds the target."""
    # More short histories than long ones: they cost less, and a search begins with them.
    kind, length = rng.random(), 1 + int(recipe.longest_history * rng.random() ** 2)
    if kind < recipe.empty:
        return []
    if kind < recipe.empty + recipe.infeasible and infeasible:
        pool = list(infeasible)
    else:
        pool = [*worse, *infeasible]
        # Half of the time the history has already come close, as late in a search.
        if rng.random() < 0.5:
            pool = sorted(pool, key=lambda row: row.reward)[-3 * length :]
    order = rng.permutation(len(pool))[:length]
    return [pool[int(place)] for place in order]


def _example(task: AnyTask, drawn: Dialogue) -> Example:
    """Note where a conversation comes from; the last answer stands for all that it teaches."""
    return Example(
        prompt=drawn.prompt,
        completion=drawn.completion,
        scenario=task.scenario.digest,
        space=task.space.name,
        source=drawn.taught[-1].source,
        evidence=drawn.taught[-1].evidence,
        history=len(drawn.poor),
        infeasible=bool(drawn.poor) and all(line.score is None for line in drawn.poor),
    )


def _feasible(row: Trace) -> bool:
    return row.evaluation.reward is not None


def _teaching(traces: dict[tuple[str, str], list[Trace]], recipe: DatasetRecipe) -> set[str]:
    """Return the scenarios that may be held out: those that teach, with a feasible design.

    A judge learns from any two accuracies, so where fewer than two of these are feasible, all that
    teach it count.
    """
    taught = [
        (digest, any(map(_feasible, rows)))
        for (_, digest), rows in traces.items()
        if not recipe.judges or by_chip(rows)
    ]
    feasible = {digest for digest, some in taught if some}
    return feasible if len(feasible) > 1 or not recipe.judges else {digest for digest, _ in taught}


def _held_out(scenarios: set[str], recipe: DatasetRecipe) -> set[str]:
    """Draw among scenarios that can teach, so that there is something to validate on."""
    ordered = sorted(scenarios)
    rng = np.random.default_rng([recipe.seed, 7])
    count = min(len(ordered) - 1, max(1, round(recipe.held_out * len(ordered))))
    return {ordered[int(place)] for place in rng.permutation(len(ordered))[:count]}


def _distinct(examples: Sequence[Example], told: Callable[[Example], str]) -> list[Example]:
    return list({told(example): example for example in examples}.values())


def _conversation(example: Example) -> str:
    return json.dumps(example[:2])


def _judged(example: Example) -> str:
    """Return what a lesson of judgements says, in whatever order."""
    return json.dumps([example.prompt, sorted(turn["content"] for turn in example.completion)])


def _marked(example: Example, recipe: DatasetRecipe) -> Iterator[list[dict[str, Any]]]:
    """Yield all turns; `train` marks those that carry loss, in the word that Axolotl knows.

    Designs that are judged each alone make as many conversations.
    """
    told = [{**turn, "train": False} for turn in example.prompt]
    said = [{**turn, "train": turn["role"] == "assistant"} for turn in example.completion]
    for part in [[turn] for turn in said] if recipe.judges else [said]:
        yield [*told, *part]


def _lines(rows: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _digest(folder: Path) -> str:
    parts = [(folder / f"{name}.jsonl").read_bytes() for name in SPLITS]
    return sha256(b"\0".join(parts)).hexdigest()[:16]


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _card(manifest: DatasetManifest, examples: Sequence[Example]) -> str:
    return cards.render(
        Path(__file__).with_name("dataset_card.md.jinja"),
        manifest=manifest,
        spaces=Counter(example.space for example in examples).most_common(MOST),
        number_of_spaces=len({example.space for example in examples}),
        empty=sum(example.history == 0 for example in examples),
        infeasible=sum(example.infeasible for example in examples),
        total=len(examples),
        example=examples[0],
    )
