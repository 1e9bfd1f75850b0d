"""A space and a scenario of the user's own: what may be written, and what is said of the rest."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cim_sim.config import UsageError, parse
from cim_sim.own import OwnScenario, OwnSpace, load_scenario, load_space
from cim_sim.scenario import Scenario
from cim_sim.space import Design, Space

CHOICES = {
    "tile": {"low": 2, "high": 8, "step": 2},
    "clock_ghz": [0.5, 1, 1.5],
    "dataflow": ["ws", "os"],
    "buffer": {"ordered": ["small", "middle", "large"]},
}
WHOLE = {"name": "one layer", "choose": "an array", "objective": "speed"}


def space(**choices):
    return parse({"name": "arrays", "choices": choices or CHOICES}, OwnSpace, "space.yaml")


def test_every_kind_of_parameter_is_listed_in_wire_order():
    found = space()
    assert [(p.name, p.choices, p.ranked) for p in found.parameters] == [
        ("tile", (2, 4, 6, 8), True),
        ("clock_ghz", (0.5, 1, 1.5), True),
        ("dataflow", ("ws", "os"), False),
        ("buffer", ("small", "middle", "large"), True),
    ]
    assert found.size == 72
    assert found.words == (
        "tile 2 to 8 by 2; clock_ghz 0.5,1,1.5; dataflow ws,os; buffer small,middle,large"
    )


@given(st.tuples(*(st.integers(0, len(p.choices) - 1) for p in space().parameters)))
def test_each_design_survives_its_indices_and_json(indices):
    design = space().decode(indices)
    assert space().encode(design) == indices
    assert not space().check(design)
    again = Design.model_validate_json(design.model_dump_json())
    assert (again, again.design_id) == (design, design.design_id)
    assert design.wire() == {p.name: p.choices[i] for p, i in zip(space().parameters, indices)}  # noqa: B905


def test_all_faults_of_a_design_are_named():
    design = Design(layers=(), named={"tile": "8", "dataflow": "xs", "clock_ghz": 1, "pool": 2})
    assert space().check(design) == [
        'tile "8" not in {2, 4, 6, 8}',
        'dataflow "xs" not in {ws, os}',
        "buffer is missing; choose from {small, middle, large}",
        "pool is no parameter",
    ]
    with pytest.raises(UsageError, match=r"design outside space arrays: tile .*; pool is no para"):
        space().encode(design)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"tile": []}, "choices.tile"),
        ({"tile": [8, 4]}, r"numbers must increase, found \[8, 4\]"),
        ({"tile": [8, "large"]}, "numbers or names, not both"),
        ({"tile": {"low": 5, "high": 4}}, "1 to 10,000 numbers make a range, found 0"),
        ({"tile": {"low": 1, "high": 99_999}}, "1 to 10,000 numbers make a range, found 99,999"),
        ({"tile": {"low": 1}}, "high"),
        ({"flow": ["ws", "ws"]}, "choices.flow: a choice stands twice"),
        ({"flow": [True, False]}, "YAML reads yes, no, on, off, true and false as truth values"),
        ({"flow": ["2.9e6"]}, r"YAML reads 2.9e6 as text; with point and sign it is a number"),
        ({"flow": ["w,s"]}, "expected a name without"),
        ({"my tile": [1]}, "my tile"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(choices, message):
    with pytest.raises(UsageError, match=message) as refused:
        space(**choices)
    assert "space.yaml" in str(refused.value)


def test_facts_are_free_text_and_belong_to_the_identity():
    plain, known = (parse({**WHOLE, **more}, OwnScenario, "s") for more in ({}, {"optimum": 2.5}))
    told = parse(
        {**WHOLE, "facts": {"layer": "3x3, stride 1; padded", "rows": 8}}, OwnScenario, "s"
    )
    assert told.facts == {"layer": "3x3, stride 1; padded", "rows": 8}
    assert plain.digest == known.digest != told.digest
    for bad in ("two\nlines", True, ["a"], float("nan"), "1e6"):
        with pytest.raises(UsageError, match=r"facts.layer"):
            parse({**WHOLE, "facts": {"layer": bad}}, OwnScenario, "s")


def test_files_of_both_kinds_are_told_apart(tmp_path):
    (tmp_path / "space.yaml").write_text("name: mine\nchoices: {tile: [1, 2]}\n")
    (tmp_path / "scenario.yaml").write_text("name: mine\nchoose: x\nobjective: speed\n")
    assert isinstance(load_space(tmp_path / "space.yaml"), OwnSpace)
    assert isinstance(load_scenario(tmp_path / "scenario.yaml"), OwnScenario)
    assert isinstance(load_space("configs/spaces/embedded.yaml"), Space)
    assert isinstance(load_scenario("configs/scenarios/embedded-energy.yaml"), Scenario)
    (tmp_path / "scenario.yaml").write_text("name: mine\nfacts: {a: 1}\nobjective: speed\n")
    with pytest.raises(UsageError, match=r"scenario.yaml: choose is missing$"):
        load_scenario(tmp_path / "scenario.yaml")
    (tmp_path / "space.yaml").write_text("name: mine\nchoices: {tile: [1, 2]}\nlayers: 3\n")
    with pytest.raises(UsageError, match=re.escape("space.yaml") + r"[\s\S]*layers"):
        load_space(tmp_path / "space.yaml")
