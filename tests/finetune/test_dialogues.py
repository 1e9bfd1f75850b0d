"""Dialogues for training: the search's own words, good answers taught, poor ones only shown."""

import json
from itertools import islice

import numpy as np
import pytest

from cim_sim.accuracy.surrogate import model as surrogate
from cim_sim.evaluate import Evaluator
from finetune.dataset import DatasetRecipe, build, read_manifest, write
from finetune.dialogues import Turns, dialogues
from finetune.targets import RECALLED
from search.llm.client import Client, Completion
from search.llm.examples import renderer_digest
from search.llm.history import entry
from search.llm.model import ModelConfig
from search.llm.prompt import answer, result
from search.llm.reply import parse_reply
from search.optimizers.llm import LlmOptimizer, Settings
from search.optimizers.lookup import known_designs
from search.proposal import Problem
from search.record.trace import UNTIMED, Trial

MODEL = ModelConfig(name="m", model="x")


@pytest.fixture(scope="module")
def drawn(tasks, traces):
    """Twenty dialogues about each problem, with the problem and its traces."""
    return [
        (problem, rows, dialogue)
        for number, problem in enumerate(tasks)
        if (rows := traces[problem.space.name, problem.scenario.digest])
        for dialogue in islice(
            dialogues(problem, rows, Turns(), np.random.default_rng(number)), 20
        )
    ]  # fmt: skip


def test_a_dialogue_is_what_the_search_would_send(drawn):
    """Every taught answer follows just the request that a search with that history makes."""
    for problem, rows, dialogue in drawn[::7]:
        by_design = {row.evaluation.design: row for row in rows}
        told = [*dialogue.prompt, *dialogue.completion]
        llm = optimizer(problem)
        for place, message in enumerate(told):
            if message["role"] == "assistant":
                (proposal,) = llm.suggest(1)
                assert proposal.exchanges[0].request["messages"] == told[:place]
                evaluation = by_design[parse_reply(message["content"], problem.space)].evaluation
                design = evaluation.design
                llm.update([Trial(step=0, **UNTIMED, design=design, evaluation=evaluation)])


class Same:
    """A transport that always answers alike."""

    def __init__(self, reply):
        self.reply = reply

    def send(self, request):
        return Completion(self.reply, "stop", {})

    def close(self):
        pass


def optimizer(problem):
    known = answer(problem.space.decode([0] * len(problem.space.parameters)))
    settings = Settings(model=MODEL, style="dialogue")
    asked = Problem(problem, lambda designs: [], seed=0)
    return LlmOptimizer(asked, settings, Client(MODEL, Same(known)))


def test_poor_designs_come_first_and_good_ones_are_new_and_better(drawn):
    lengths = set()
    for _, rows, dialogue in drawn:
        scores = [row.evaluation.score for row in dialogue.taught]
        assert len({row.evaluation.design for row in dialogue.taught}) == len(scores)
        assert 1 <= len(scores) <= Turns().answers
        assert all(one.score is None or one.score <= min(scores) for one in dialogue.poor)
        better = sorted(row.evaluation.score for row in rows)[-Turns().good :]
        assert min(scores) >= better[0]
        lengths.add(len(dialogue.poor))
        turns = [answer(row.evaluation.design) for row in dialogue.taught]
        assert [message["content"] for message in dialogue.completion[::2]] == turns
        results = [result(entry(row.evaluation)) for row in dialogue.taught[:-1]]
        assert [message["content"] for message in dialogue.completion[1::2]] == results
    assert lengths == {0, 1, 2, 3}


def test_hidden_facts_hide_nothing_else(tasks, traces):
    """In about the share that is asked for; all four in a third of them; the designs stay."""
    (problem, *_) = (task for task in tasks if traces[task.space.name, task.scenario.digest])
    rows = traces[problem.space.name, problem.scenario.digest]
    source = dialogues(problem, rows, Turns(hidden=0.5), np.random.default_rng(3))
    sample = list(islice(source, 400))
    counts = [sum(len(one.hidden) == count for one in sample) for count in range(5)]
    assert 160 < counts[0] < 240
    assert 45 < counts[4] < 90
    assert min(counts[1:4]) > 20
    for one in sample:
        text = one.prompt[0]["content"]
        assert text.count(": unknown.") == len(one.hidden)
        assert all(f"{name.capitalize()}: unknown." in text for name in one.hidden)


def test_similar_designs_are_shown_unless_facts_are_hidden(tasks, traces):
    (problem, *_) = (task for task in tasks if traces[task.space.name, task.scenario.digest])
    rows = traces[problem.space.name, problem.scenario.digest]
    turns = Turns(hidden=0.5, similar=4)
    for one in islice(dialogues(problem, rows, turns, np.random.default_rng(3)), 40):
        last = one.prompt[0]["content"].splitlines()[-1]
        shown = " ".join(map(answer, known_designs(problem, turns.table, 4)))
        expected = "Answer like [[" if one.hidden else f"Similar tasks chose {shown}"
        assert last.startswith(expected)


def test_half_of_the_histories_follow_what_was_shown(tasks, traces):
    """Designs of a history that differ from a recalled one in two choices at most."""
    shares = []
    for task in tasks:
        rows = traces[task.space.name, task.scenario.digest]
        recalled = [task.space.encode(one) for one in known_designs(task, Turns().table, RECALLED)]
        for one in islice(dialogues(task, rows, Turns(), np.random.default_rng(3)), 40):
            if one.poor:
                chosen = [task.space.encode(line.design) for line in one.poor]
                shares.append(all(min(differing(a, b) for b in recalled) <= 2 for a in chosen))
    assert 0.4 < np.mean(shares) < 0.7


def differing(one, other):
    return sum(a != b for a, b in zip(one, other, strict=True))


def test_a_task_that_misleads_a_lookup_is_taught_more_often(tasks, traces):
    recipe = DatasetRecipe(style="dialogue", examples=2, turns=Turns(misled=3))
    examples = [one for split in build(tasks, traces, recipe).values() for one in split]
    counts = set()
    for task in tasks:
        rows = traces[task.space.name, task.scenario.digest]
        (first,) = known_designs(task, Turns().table, 1)
        feasible = Evaluator(task.scenario, task.space, surrogate.load().answer).evaluate([first])
        wanted = 2 if feasible[0].reward is not None else 6
        if any(row.evaluation.reward is not None for row in rows):
            taught = [one for one in examples if one.scenario == task.scenario.digest]
            assert len([one for one in taught if one.space == task.space.name]) == wanted
            counts.add(wanted)
    assert counts == {2, 6}


@pytest.fixture(scope="module")
def folder(tasks, traces, tmp_path_factory):
    out = tmp_path_factory.mktemp("dialogues")
    recipe = DatasetRecipe(examples=6, style="dialogue")
    write(out, build(tasks, traces, recipe), recipe)
    return out


def test_the_dataset_is_bound_to_the_dialogue_s_renderer(folder):
    manifest = read_manifest(folder)
    assert manifest.renderer == renderer_digest("dialogue")
    assert manifest.counts["train"] > 0
    for line in (folder / "messages" / "train.jsonl").read_text().splitlines():
        turns = json.loads(line)["messages"]
        marks = [turn["train"] for turn in turns]
        first = marks.index(True)
        assert [turn["role"] for turn in turns[first:]] == (["assistant", "user"] * 9)[
            : len(turns) - first
        ]
        assert marks[first:] == [turn["role"] == "assistant" for turn in turns[first:]]


def test_a_scenario_without_a_feasible_design_has_no_dialogue(tasks):
    assert not list(dialogues(tasks[0], [], Turns(), np.random.default_rng(0)))
