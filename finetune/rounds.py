"""Rounds: a tuned model proposes on training tasks, the simulator judges, and it learns from that.

In its own search a model meets its own mistakes, which no lesson written beforehand holds (DAgger,
Ross et al. 2011, arXiv:1011.0686). In each round it searches training tasks. What it proposed
becomes the histories of new dialogues; the answers are the best designs known of each task, its own
where they are better than the teacher's. Training goes on from the adapter of the round before.
"""

from pathlib import Path
from typing import Any

from cim_sim.config import Config, UsageError, load
from cim_sim.paths import ACCURACY_CACHE
from cim_sim.progress import counted
from cim_sim.types import Count, Natural
from finetune.adapter import weights_digest
from finetune.asked import claim
from finetune.dataset import DatasetRecipe, make_dataset
from finetune.gather import DataRecipe, make_traces
from finetune.learn import Served, learn
from finetune.roundtrip import placed
from finetune.traces import read_traces
from search.llm.model import ModelConfig
from search.llm.sharing import shared
from search.optimizers import model_of
from search.proposal import SearchStopped
from search.record.adapter import read_manifest
from search.study.sweep import (
    ArmSpec,
    FamilyPart,
    SweepConfig,
    begin,
    jobs,
    run_all,
    settings_of_file,
    unfinished,
)


class RoundsRecipe(Config):
    """How a model searches in a round and how it learns from that: configs/finetune/rounds.yaml."""

    rounds: Count = 1
    tasks: Count = 100
    """Training tasks of each round; every round has others."""
    first: Natural = 0
    """Number of the first of them."""
    episodes: Count = 10
    screen: Natural = 8
    asked: Path = Path("configs/search/author-local.yaml")
    """How the model is asked."""
    training: Path = Path("configs/finetune/smollm2.yaml")
    overrides: tuple[str, ...] = ()
    """Settings that win over it, as in max_steps=40."""
    dataset: DatasetRecipe = DatasetRecipe()
    workers: Count = 2


def one_round(
    recipe: RoundsRecipe, number: int, before: Path, out: Path, served: Served
) -> dict[str, Any]:
    """Do a round, or the rest of one that was interrupted, and return what its summary says.

    Args:
        recipe: of all rounds.
        number: of this one, from 0.
        before: adapter that proposes, with its merged model; training goes on from it.
        out: directory of the round: search/, data/ and the new adapter.
        served: how models are served.

    Raises:
        UsageError: `before` has no merged model or is a judge, a recipe does not fit, or `out` is
            another round.
        SearchStopped: a search failed; typed again, the round goes on.
    """
    if "correlation" in read_manifest(before).losses:
        raise UsageError(
            f"{before} was trained as a judge and proposes nothing of use; rounds take an author: "
            "make finetune CONFIG=configs/finetune/smollm2.yaml"
        )
    asked = recipe.model_dump(mode="json", exclude={"workers", "rounds"})
    claim(out, {"recipe": asked, "round": number, "adapter": weights_digest(before)})
    first = recipe.first + number * recipe.tasks
    data = out / "data"
    if not (data / "manifest.json").is_file():
        _search(recipe, first, placed(served.tuned, before), out / "search")
        searched = DataRecipe(
            surrogate_tasks=recipe.tasks,
            first=first,
            runs=(out / "search",),
            workers=recipe.workers,
        )
        make_traces(searched, data)
        make_dataset(data, recipe.dataset)
    start = f"adapter_name_or_path={before}"
    overrides = (*recipe.overrides, start)
    summary = learn(recipe.training, overrides, data, out / "adapter", served, resume=True)
    return {"better_than_the_teacher": _better(data), **summary}


def _search(recipe: RoundsRecipe, first: int, model: ModelConfig, out: Path) -> None:
    """Let the model search the tasks of a round; what is finished is left alone."""
    settings = settings_of_file(str(recipe.asked), "llm")
    settings["model"] = model.model_dump(mode="json")
    config = SweepConfig(
        scenarios=FamilyPart(split="train", count=recipe.tasks, first=first),
        arms={"model": ArmSpec(optimizer="llm", episodes=recipe.episodes, settings=settings)},
        seeds=1,
        screens=(recipe.screen,),
    )
    todo = jobs(config, out)
    begin(config, out, resume=True)
    waiting = unfinished(todo)
    failures = []
    with (
        shared(filter(None, (model_of(job.config) for job in waiting)), out),
        counted("runs", len(todo)) as step,
    ):
        for job, failed in run_all(todo, recipe.workers, ACCURACY_CACHE):
            step(job.config.scenario.name)
            failures += [f"{failed.out}: {failed.reason}"] if failed else []
    if failures:
        raise SearchStopped("\n".join([*failures, "type the same command again to go on"]))


def _better(data: Path) -> float:
    """Share of the tasks in which the model found a better design than the teacher's search."""
    best = []
    for rows in read_traces(data)[1].values():
        scores = {"run": -1.0, "surrogate": -1.0}
        for row in rows:
            scores[row.source] = max(scores[row.source], row.evaluation.score)
        best.append(scores["run"] > scores["surrogate"])
    return sum(best) / len(best)


def load_rounds(path: Path) -> RoundsRecipe:
    """Read a recipe of rounds.

    Raises:
        UsageError: it is not one, or its dialogues are not those that the model is asked in.
    """
    recipe = load(path, RoundsRecipe)
    style = settings_of_file(str(recipe.asked), "llm").get("style", "codesign")
    if style != recipe.dataset.style:
        raise UsageError(
            f"{path}: the model is asked in style {style} ({recipe.asked}), but would be taught in "
            f"style {recipe.dataset.style}: write dataset: {{style: {style}}}"
        )
    return recipe
