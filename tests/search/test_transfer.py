"""Designs of one task in the space of another, and how far two tasks are apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cim_sim.config import UsageError
from cim_sim.hardware import FixedHardware
from cim_sim.scenario import EnergyObjective, LatencyObjective, Limits, Scenario
from cim_sim.space import HardwareChoices, Space, from_wire
from cim_sim.variation import Variation
from search.landscape import draw
from search.record.tasks import Task
from search.transfer import distances, nearest, projected, projected_design

CHIP = FixedHardware(subarray=128, cell_bits=2, adc_levels=32, mapping="novel")


def some(choices, fewest=1):
    parts = st.sets(st.sampled_from(choices), min_size=fewest)
    return parts.map(lambda chosen: tuple(sorted(chosen)))


@st.composite
def spaces(draw_from):
    def maybe(choices):
        return draw_from(st.one_of(st.just(()), some(choices, 2)))

    hardware = HardwareChoices(
        subarray=maybe((64, 128, 256)),
        cell_bits=maybe((1, 2, 4)),
        mapping=maybe(("conventional", "novel")),
    )
    widths, kernels = draw_from(some((16, 24, 36, 48, 64, 128, 256))), draw_from(some((1, 3, 5, 7)))
    return Space(name="drawn", channels=widths, kernels=kernels, hardware=hardware)


@settings(max_examples=60, deadline=None)
@given(source=spaces(), target=spaces(), seed=st.integers(0, 99))
def test_projections_lie_in_the_space_and_are_the_identity_inside_it(source, target, seed):
    population = draw(source, 8, np.random.default_rng(seed))
    there = projected(population, source, CHIP, target)
    sizes = [len(parameter.choices) for parameter in target.parameters]
    assert (there >= 0).all()
    assert (there < sizes).all()
    for row in there:
        assert target.check(target.decode(row.tolist())) == []
    np.testing.assert_array_equal(projected(there, target, CHIP, target), there)
    np.testing.assert_array_equal(projected(population, source, CHIP, source), population)


@settings(max_examples=60, deadline=None)
@given(source=spaces(), target=spaces(), seed=st.integers(0, 99))
def test_what_the_target_has_too_is_kept(source, target, seed):
    (row,) = draw(source, 1, np.random.default_rng(seed))
    design = source.decode(row.tolist())
    there = projected_design(design, task(space=source), target)
    for ours, theirs in zip(design.layers, there.layers, strict=True):
        assert ours.channels not in target.channels or theirs.channels == ours.channels
        assert ours.kernel not in target.kernels or theirs.kernel == ours.kernel


def task(space=None, told=True, **changes):
    space = space or Space(name="plain", channels=(16, 64), kernels=(3, 5))
    chip = CHIP.model_copy(update=dict.fromkeys(space.freed))
    fixed = {
        "name": "t",
        "hardware": chip,
        "variation": Variation(sigma=0.06),
        "objective": EnergyObjective(metric="energy"),
    }
    return Task(space=space, scenario=Scenario.model_validate({**fixed, **changes}), told=told)


def test_the_nearest_choice_is_the_nearest_by_ratio_and_fixed_hardware_comes_along():
    target = Space(
        name="t",
        channels=(16, 64),
        kernels=(1, 5),
        layers=2,
        hardware=HardwareChoices(subarray=(64, 128), mapping=("conventional", "novel")),
    )
    source = Space(name="s", channels=(24, 40, 256), kernels=(3, 7), layers=2)
    there = projected_design(from_wire([[24, 3], [40, 7]]), task(space=source), target)
    assert there.wire() == {
        "layers": [[16, 5], [64, 5]],
        "hardware": {"subarray": 128, "mapping": "novel"},
    }


def test_hardware_that_nobody_knows_takes_the_first_choice():
    source = Space(name="s", channels=(16,), kernels=(3,))
    target = source.model_copy(update={"hardware": HardwareChoices(cell_bits=(1, 2))})
    row = np.zeros((1, 12), dtype=np.int64)
    assert projected(row, source, FixedHardware(), target)[0, -1] == 0


@pytest.mark.parametrize(
    ("near", "far"),
    [
        ({"limits": Limits(area_um2=3e7)}, {"limits": Limits(area_um2=1e7)}),
        ({"limits": Limits(accuracy=0.5)}, {"limits": Limits(accuracy=0.2)}),
        ({"variation": Variation(sigma=0.07)}, {"variation": Variation(sigma=0.15)}),
        ({"variation": Variation(sigma=0.08)}, {"objective": LatencyObjective(metric="latency")}),
        (
            {"hardware": CHIP.model_copy(update={"node_nm": 32})},
            {"hardware": CHIP.model_copy(update={"mapping": "conventional"})},
        ),
        (
            {"space": Space(name="a", channels=(16, 48), kernels=(3, 5))},
            {"space": Space(name="b", channels=(128, 256), kernels=(7,))},
        ),
    ],
)
def test_what_differs_less_is_nearer(near, far):
    whole = task(limits=Limits(area_um2=4e7, accuracy=0.55))
    others = [
        task(**{"limits": whole.scenario.limits, **far}),
        task(**{"limits": whole.scenario.limits, **near}),
        whole,
    ]
    apart = distances(whole, others)
    assert apart[2] == 0 <= apart[1] < apart[0]
    assert nearest(whole, others, 2) == [2, 1]


def test_another_number_of_layers_is_refused():
    six, four = (
        Space(name=name, channels=(32, 64), kernels=(3,), layers=layers)
        for name, layers in (("six", 6), ("four", 4))
    )
    for source, target in ((six, four), (four, six)):
        words = f"space {target.name}: {target.layers} layers, but what is remembered of other"
        with pytest.raises(UsageError, match=words):
            projected(draw(source, 3, np.random.default_rng(0)), source, CHIP, target)
