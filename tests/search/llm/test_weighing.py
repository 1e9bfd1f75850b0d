"""A design that somebody else proposes: in which words a model is asked about it."""

from hypothesis import given
from hypothesis import strategies as st

from cim_sim.space import from_wire
from search.llm.prompt import answer, render
from search.llm.weighing import on_chip, question, told
from search.study.family import tasks

SPLITS = ("train", "near", "hardware", "space", "tight", "objective", "digits")


@given(st.sampled_from(SPLITS), st.integers(0, 200), st.data())
def test_the_accuracy_that_is_asked_for_is_that_of_the_design(split, number, data):
    """The very network under the very noise, in the words of a chip that is fixed."""
    (task,) = tasks(split, 1, first=number)
    places = [st.integers(0, len(one.choices) - 1) for one in task.space.parameters]
    design = task.space.decode(data.draw(st.tuples(*places)))
    asked, named = on_chip(task, design.hardware), told(task, design)
    asked.scenario.require_fits(asked.space)
    asked.space.require(named)
    query = task.scenario.query(design, task.space, seed=1)
    assert asked.scenario.query(named, asked.space, seed=1) == query
    assert asked.scenario.objective == task.scenario.objective
    assert asked.scenario.limits == task.scenario.limits


def test_a_chip_that_is_fixed_is_told_as_a_dialogue_tells_it():
    task = next(one for one in tasks("near", 9) if one.space.name == "embedded")
    known = [task.space.decode([place] * 12) for place in (0, 1)]
    asked = question(task, known[0], known)
    said = render(task.scenario, task.space, [], "dialogue", similar=known, value=True)
    assert (asked.messages, asked.told) == (said, known[0])


def test_a_free_chip_is_the_one_that_the_design_chooses():
    """What the noise of a cell makes of a weight is told, by the bits that the design chooses."""
    task = next(one for one in tasks("near", 200) if one.space.freed == ("cell_bits",))
    cells = task.space.hardware.cell_bits
    pair = [[task.space.channels[0], task.space.kernels[0]]]
    designs = [from_wire({"layers": pair * 6, "hardware": {"cell_bits": one}}) for one in cells]
    texts = []
    for design, bits in zip(designs, cells, strict=True):
        asked = question(task, design, designs)
        text = asked.messages[0]["content"]
        assert answer(asked.told) == answer(from_wire(pair * 6))
        assert f"cell_bits {bits}" in text
        assert f"Similar tasks chose {answer(asked.told)}\n" in text, "once, not for each chip"
        assert "cell sigma" not in text
        texts.append(text)
    assert len(set(texts)) == len(cells)


def test_widths_are_told_in_one_scale():
    (task,) = tasks("space", 1)
    assert task.space.width_divisor == 16
    design = from_wire([[32, 3], [512, 3], [64, 5], [64, 7], [128, 3], [256, 3]])
    asked = question(task, design, [design])
    assert asked.design == design
    assert answer(asked.told) == "[[8,3],[128,3],[16,5],[16,7],[32,3],[64,3]]"
    assert "channels 8,16,32,64,128, kernels 3,5,7" in asked.messages[0]["content"]
