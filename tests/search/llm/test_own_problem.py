"""Prompts, replies and histories of a problem of the user's own."""

import contextlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cim_sim.config import UsageError, parse
from cim_sim.evaluate import Evaluation, Infeasible
from cim_sim.own import OwnScenario, OwnSpace
from search.llm.dialogue import hideable
from search.llm.history import Entry, entry
from search.llm.prompt import answer, answer_regex, render
from search.llm.reply import ReplyError, parse_reply
from search.record.tasks import OwnTask

SCENARIO = parse(
    {
        "name": "one layer",
        "choose": "an array for one layer",
        "facts": {"layer": "3x3, stride 1", "rows": 64},
        "objective": "speed over the rival's",
    },
    OwnScenario,
    "scenario",
)
SPACE = parse(
    {
        "name": "arrays",
        "choices": {"tile": [-1, 8, 0.5e2], "flow": ["ws", "os", "row+é"], "x": {"ordered": ["s"]}},
    },
    OwnSpace,
    "space",
)
GOOD, BAD = SPACE.decode((1, 0, 0)), SPACE.decode((2, 1, 0))
HISTORY = [
    Entry(GOOD, 0.75),
    entry(
        Evaluation(
            design=BAD,
            scenario=SCENARIO.digest,
            infeasible=Infeasible(kind="own", reason="tile  exceeds\nthe buffer"),
        )
    ),
]
FACTS = """\
layer: 3x3, stride 1.
rows: 64.
Reward: speed over the rival's.
Free: tile -1,8,50.0; flow ws,os,row+é; x s."""


def test_a_dialogue_tells_the_facts_once_and_goes_on_turn_by_turn():
    messages = render(SCENARIO, SPACE, HISTORY, "dialogue", value=True)
    assert [(one["role"], one["content"]) for one in messages if one["role"] != "system"] == [
        (
            "user",
            f"Choose an array for one layer.\n{FACTS}\n"
            r'Answer like {"tile":8,"flow":"os","x":"s"}',
        ),
        ("assistant", '{"tile":8,"flow":"ws","x":"s"}'),
        ("user", "reward 0.750"),
        ("assistant", '{"tile":50.0,"flow":"os","x":"s"}'),
        ("user", "infeasible: tile exceeds the buffer"),
    ]


def test_codesign_tells_all_in_one_question():
    system, user = render(SCENARIO, SPACE, HISTORY)
    assert system["content"] == "You are an expert in the exploration of design spaces."
    assert user["content"] == (
        f"Choose an array for one layer.\n{FACTS}\n"
        'Answer with JSON only, for example {"tile":8,"flow":"os","x":"s"}\n'
        "Results so far, worst to best:\n"
        '{"tile":50.0,"flow":"os","x":"s"} infeasible: tile exceeds the buffer\n'
        '{"tile":8,"flow":"ws","x":"s"} 0.750\n'
        "Give one design that is better than all of these and not among them."
    )


def test_facts_and_reward_can_be_hidden():
    names = hideable(SCENARIO)
    assert names == ("layer", "rows", "Reward")
    text = render(SCENARIO, SPACE, [], "dialogue", hidden=names)[-1]["content"]
    assert "layer: unknown.\nrows: unknown.\nReward: unknown.\nFree: tile" in text


@pytest.mark.parametrize("style", ["paper", "naive"])
def test_the_papers_prompts_cannot_ask_for_names(style):
    with pytest.raises(UsageError, match=f"style {style} asks for number pairs alone"):
        render(SCENARIO, SPACE, [], style)


@given(st.tuples(*(st.integers(0, len(p.choices) - 1) for p in SPACE.parameters)))
def test_answers_are_parsed_and_matched_by_the_grammar(indices):
    design = SPACE.decode(indices)
    assert parse_reply(f"I propose {answer(design)}.", SPACE) == design
    assert re.fullmatch(answer_regex(SPACE), answer(design))
    assert re.fullmatch(answer_regex(SPACE, value=True), answer(design))
    shuffled = json.dumps(dict(reversed(design.wire().items())))
    assert answer(parse_reply(shuffled, SPACE)) == answer(design)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("none", "no design", "no JSON object with tile, flow, x found"),
        ("[[8,3]]", "shape", "expected an object with tile, flow, x, found"),
        ('{"tile":8,"flow":"ws"}', "space", "x is missing; choose from {s}"),
        ('{"tile":8,"flow":"ws","x":"s","y":1}', "space", "y is no parameter"),
        ('{"tile":"8","flow":"ws","x":"s"}', "space", 'tile "8" not in {-1, 8, 50.0}'),
        ('{"tile":[8],"flow":"ws","x":"s"}', "shape", "tile: expected a number or a name"),
        ('{"tile":true,"flow":"ws","x":"s"}', "shape", "tile: expected a number or a name"),
        ('{"a":1} {"b":2}', "several designs", "found 2 designs, expected exactly one"),
    ],
)
def test_what_is_no_design_is_told_to_the_model(text, kind, said):
    with pytest.raises(ReplyError, match=re.escape(said)) as refused:
        parse_reply(text, SPACE)
    assert refused.value.kind == kind


@given(st.text() | st.text(alphabet='{}[]":,tileflow8 '))
def test_any_text_is_a_design_or_a_reply_error(text):
    with contextlib.suppress(ReplyError):
        assert not SPACE.check(parse_reply(text, SPACE))


def test_a_task_is_one_in_a_file_too():
    task = OwnTask(space=SPACE, scenario=SCENARIO)
    again = OwnTask.model_validate_json(task.model_dump_json())
    assert again == task
    assert hash(again) == hash(task)
    assert answer(again.space.decode((0, 0, 0))) == '{"tile":-1,"flow":"ws","x":"s"}'
