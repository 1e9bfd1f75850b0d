"""Designs, spaces, and the two-way fault list."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cim_sim.config import UsageError, load
from cim_sim.space import Space, from_wire, parse_design

SPACES = {
    name: load(f"configs/spaces/{name}.yaml", Space) for name in ("embedded", "lcda", "codesign")
}
PAPER = "[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]"


@st.composite
def members(draw):
    space = SPACES[draw(st.sampled_from(sorted(SPACES)))]
    indices = [draw(st.integers(0, len(p.choices) - 1)) for p in space.parameters]
    return space, tuple(indices)


@given(members())
def test_decode_and_encode_are_inverse_and_members_fit(member):
    space, indices = member
    design = space.decode(indices)
    assert space.check(design) == []
    assert space.encode(design) == indices


@given(members())
def test_wire_format_round_trips_and_keeps_the_identity(member):
    space, indices = member
    design = space.decode(indices)
    again = from_wire(json.loads(json.dumps(design.wire())))
    assert again == design
    assert again.design_id == design.design_id
    assert isinstance(design.wire(), list) == (not space.freed)


def test_sizes_are_those_of_the_papers():
    assert SPACES["lcda"].size == 15**6
    assert SPACES["embedded"].size == 28**6
    assert SPACES["codesign"].size == 16**6 * 18


def test_all_faults_are_named_both_ways():
    design = parse_design("[[33,3],[32,4],[64,3],[64,3],[128,3]]", "--design")
    faults = SPACES["embedded"].check(design)
    assert faults == [
        "expected 6 layers, found 5",
        "layer 1: channels 33 not in {16, 24, 32, 48, 64, 96, 128}",
        "layer 2: kernel 4 not in {1, 3, 5, 7}",
    ]
    assert SPACES["codesign"].check(parse_design(PAPER, "--design"))[-3:] == [
        "hardware subarray is missing; choose from {64, 128, 256}",
        "hardware cell_bits is missing; choose from {1, 2, 4}",
        "hardware mapping is missing; choose from {conventional, novel}",
    ]
    freed = from_wire({"layers": json.loads(PAPER), "hardware": {"subarray": 64}})
    with pytest.raises(UsageError, match="hardware subarray is not free in this space"):
        SPACES["embedded"].require(freed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[32,3", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("3", "not a design"),
        ("[[32,3.5]]", "layers: 0: 1: Input should be a valid integer"),
        ("[[true,3]]", "layers: 0: 0: Input should be a valid integer"),
        ('{"layer": []}', "layer: Extra inputs are not permitted"),
    ],
)
def test_what_is_no_design_is_told_what_one_looks_like(text, message):
    with pytest.raises(UsageError, match=r"a design looks like \[\[32,3\]") as caught:
        parse_design(text, "--design")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernels": (3, 4)}, "kernels must be odd"),
        ({"channels": (32, 16)}, "channels must increase"),
        ({"width_divisor": 5}, "width_divisor 5 does not divide"),
        ({"hardware": {"subarray": (256, 64)}}, "subarray must increase without repeats"),
        ({"hardware": {"cell_bits": (1, 1)}}, "cell_bits must increase without repeats"),
        ({"hardware": {"mapping": ("novel", "novel")}}, "mapping must not repeat"),
    ],
)
def test_senseless_spaces_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Space.model_validate({**SPACES["embedded"].model_dump(), **change})
