"""Judgements: designs that each answer a scenario alone, in the words of the search that asks."""

import json
from itertools import islice

import numpy as np
import pytest
from pydantic import ValidationError

from cim_sim.config import UsageError
from finetune.dataset import DatasetRecipe, build, read_manifest
from finetune.dialogues import Turns
from finetune.judgements import FEWEST, by_chip, judgements
from search.llm.dialogue import expected
from search.llm.model import ModelConfig
from search.llm.prompt import answer
from search.llm.weighing import question
from search.optimizers.lookup import known_designs
from search.optimizers.ranked import Settings

TURNS = Turns(judged=5, similar=4, value=True)
RNG = np.random.default_rng(0)


def drawn(task, rows, turns=TURNS, seed=0):
    return islice(judgements(task, rows, turns, np.random.default_rng(seed)), 3)


def rows_of(task, traces):
    return traces[task.space.name, task.scenario.digest]


def test_prompt_and_answers_are_what_ranked_sends(tasks, traces):
    settings = Settings(model=ModelConfig(name="m", model="x"))
    for task in tasks:
        similar = known_designs(task, settings.table, settings.similar)
        for lesson in drawn(task, rows_of(task, traces)):
            for row, turn in zip(lesson.taught, lesson.completion, strict=True):
                asked = question(task, row.evaluation.design, similar)
                assert asked.messages == lesson.prompt
                said = f"{answer(asked.told)} {expected(row.evaluation.accuracy.mean)}"
                assert turn == {"role": "assistant", "content": said}


def test_a_lesson_is_about_the_designs_of_one_chip(tasks, traces):
    """Where the space frees it; a chip of which one design is known orders nothing."""
    for task in tasks:
        chips = set()
        for lesson in islice(judgements(task, rows_of(task, traces), TURNS, RNG), 12):
            (chip,) = {row.evaluation.design.hardware for row in lesson.taught}
            cells = task.scenario.hardware.complete(chip).cell_bits
            sigma = task.scenario.variation.effective(cells)
            text = lesson.prompt[0]["content"]
            assert f"cell_bits {cells}, " in text
            assert f"weight sigma {round(sigma, 3):g}" in text
            assert "Free:" not in text
            chips.add(chip)
        known = by_chip(rows_of(task, traces))
        assert chips <= set(known)
        assert len(chips) > 1 or len(known) == 1
        assert min(map(len, known.values())) >= FEWEST


def test_designs_are_distinct_and_other_ones_each_time(tasks, traces):
    for task in tasks:
        lessons = list(drawn(task, rows_of(task, traces)))
        designs = [[row.evaluation.design for row in lesson.taught] for lesson in lessons]
        assert all(len(set(one)) == len(one) == TURNS.judged for one in designs)
        assert len(set(map(frozenset, designs))) == len(designs)


def test_a_design_that_fails_the_least_accuracy_is_judged_too(tasks, traces):
    kinds = {
        row.evaluation.infeasible and row.evaluation.infeasible.kind
        for task in tasks
        for lesson in drawn(task, rows_of(task, traces))
        for row in lesson.taught
    }
    assert kinds == {None, "accuracy"}


def test_one_known_design_orders_nothing(tasks, traces):
    known = [row for row in rows_of(tasks[0], traces) if row.evaluation.accuracy]
    assert list(drawn(tasks[0], known[:1])) == []
    assert len(list(drawn(tasks[0], known[:2]))) == 3


def test_other_trainers_read_each_design_as_a_conversation_of_its_own(judged):
    lines = (judged / "train.jsonl").read_text().splitlines()
    views = (judged / "messages" / "train.jsonl").read_text().splitlines()
    expected_views = [
        [*map(unmarked, row["prompt"]), {**turn, "train": True}]
        for row in map(json.loads, lines)
        for turn in row["completion"]
    ]
    assert [json.loads(view)["messages"] for view in views] == expected_views


def unmarked(turn):
    return {**turn, "train": False}


def test_the_card_says_what_a_line_is(judged):
    card = (judged / "README.md").read_text()
    assert "Each line is a scenario (`prompt`) and up to 8 designs" in card
    assert read_manifest(judged).recipe.turns.judged == 8


def test_what_is_judged_says_its_accuracy():
    with pytest.raises(ValidationError, match=r"judged teaches the accuracy.*set value to true"):
        Turns(judged=8)
    with pytest.raises(ValidationError, match="order of designs: set it to 2 or more, or to 0"):
        Turns(judged=1, value=True)


def test_without_accuracies_there_is_nothing_to_judge(tasks, traces):
    recipe = DatasetRecipe(style="dialogue", turns=TURNS)
    known = {
        place: [row for row in rows if row.evaluation.accuracy][:1]
        for place, rows in traces.items()
    }
    with pytest.raises(UsageError, match="no training scenario has two designs with an accuracy"):
        build(tasks, known, recipe)


def test_scenarios_without_a_feasible_design_are_held_out_too(tasks, traces):
    recipe = DatasetRecipe(held_out=0.4, style="dialogue", turns=TURNS)
    feasible = tasks[0].scenario.digest
    known = {
        place: [row for row in rows if place[1] == feasible or row.evaluation.infeasible]
        for place, rows in traces.items()
    }
    assert build(tasks, known, recipe)["validation"]


def test_a_scenario_that_teaches_nothing_is_not_held_out(tasks, traces):
    """One feasible design is nothing to judge, so it would validate on nothing."""
    fixed = {task.scenario.digest for task in tasks[:2]}
    known = {}
    for place, rows in traces.items():
        feasible = [row for row in rows if row.reward > -float("inf")]
        known[place] = rows if place[1] in fixed else feasible[:1]
    for seed in range(8):
        recipe = DatasetRecipe(style="dialogue", turns=TURNS, seed=seed)
        made = build(tasks, known, recipe)
        assert {one.scenario for one in made["validation"]} < fixed


def test_lessons_of_the_same_designs_are_one(tasks, traces):
    """A few known designs of a chip make one lesson, in whatever order they are drawn."""
    recipe = DatasetRecipe(examples=5, held_out=0.4, style="dialogue", turns=TURNS)
    few = {key: rows[:5] for key, rows in traces.items()}
    fixed = [task for task in tasks if not task.space.freed]
    every = [one for split in build(fixed, few, recipe).values() for one in split]
    assert len(every) == len({(one.scenario, one.space) for one in every})
