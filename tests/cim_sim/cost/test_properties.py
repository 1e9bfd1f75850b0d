"""What must hold for any stack of layers on any hardware of the table."""

from dataclasses import fields

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cim_sim.cost import breakdown, evaluate, evaluate_mixed, floorplan_fault
from cim_sim.cost.constants import table
from cim_sim.cost.layers import layers_of
from cim_sim.cost.mapping import floorplan
from cim_sim.cost_study.pipeline import evaluate_pipelined
from cim_sim.hardware import Hardware
from cim_sim.workload import CIFAR10, Stack

KEYS = sorted(table())
TOTALS = ("latency_ns", "dynamic_energy_pj", "leakage_energy_pj", "area_um2", "utilisation")


@st.composite
def hardware(draw):
    device, subarray, cell_bits, levels, node, mux = draw(st.sampled_from(KEYS))
    return Hardware(
        device=device,
        subarray=subarray,
        cell_bits=cell_bits,
        adc_levels=levels,
        node_nm=node,
        col_mux=mux,
        mapping=draw(st.sampled_from(["conventional", "novel"])),
        pad=draw(st.sampled_from(["same", "stock"])),
    )


@st.composite
def stacks(draw, most=4):
    """Any layers, chained or not, convolutions and fully connected ones mixed."""
    count, depth = draw(st.integers(1, most)), draw(st.integers(1, 9))

    def array(element):
        row = st.lists(element, min_size=depth, max_size=depth)
        return np.array([draw(row) for _ in range(count)], dtype=np.int64)

    kernel = array(st.sampled_from([1, 1, 2, 3, 5, 7, 11]))
    side = np.where(array(st.integers(0, 4)) == 0, 1, array(st.integers(1, 64)))
    return Stack(
        side=side,
        in_channels=array(st.integers(1, 600)),
        kernel=np.where(side == 1, 1, kernel),
        out_channels=array(st.integers(1, 2100)),
        pooled=array(st.integers(0, 1)),
    )


def rows(batch):
    return np.stack([getattr(batch, field.name) for field in fields(batch)], axis=1)


@settings(max_examples=60, deadline=None)
@given(stacks(), hardware())
def test_a_batch_equals_its_designs_one_by_one(stack, setting):
    together = rows(evaluate(stack, setting))
    alone = [rows(evaluate(stack[row : row + 1], setting))[0] for row in range(len(stack))]
    np.testing.assert_allclose(together, np.array(alone), rtol=1e-14)


@settings(max_examples=80, deadline=None)
@given(stacks(), hardware())
def test_numbers_are_positive_where_feasible_and_nan_elsewhere(stack, setting):
    batch = evaluate(stack, setting)
    for name in TOTALS:
        values = getattr(batch, name)
        least = 0 if name == "leakage_energy_pj" else np.nextafter(0, 1)
        assert np.all(np.isfinite(values[batch.feasible]) & (values[batch.feasible] >= least))
        assert np.isnan(values[~batch.feasible]).all()
    assert np.all(batch.utilisation[batch.feasible] <= 1)
    faults = floorplan_fault(stack, setting)
    assert [fault is None for fault in faults] == batch.feasible.tolist()


@settings(max_examples=60, deadline=None)
@given(stacks(), hardware())
def test_parts_are_not_negative_and_sum_to_the_totals(stack, setting):
    parts = breakdown(stack, setting)
    totals, fits = parts.totals, parts.totals.feasible
    np.testing.assert_array_equal(rows(totals), rows(evaluate(stack, setting)))
    for piece in (parts.latency_ns, parts.dynamic_energy_pj, parts.area_um2):
        assert np.all(piece[..., fits] >= 0)
    sums = {
        "latency_ns": parts.latency_ns.sum(axis=(0, 1)),
        "dynamic_energy_pj": parts.dynamic_energy_pj.sum(axis=(0, 1)),
        "leakage_energy_pj": parts.leakage_energy_pj.sum(axis=0),
        "energy_pj": parts.energy_pj.sum(axis=0),
        "area_um2": parts.area_um2.sum(axis=0),
        "tiles": np.where(fits, parts.placement.plan.tiles.sum(axis=0), np.nan),
    }
    for name, total in sums.items():
        np.testing.assert_allclose(total, getattr(totals, name), rtol=1e-12)


@settings(max_examples=100, deadline=None)
@given(stacks(most=1), hardware(), st.data())
def test_area_does_not_fall_with_channels_within_a_floorplan(stack, setting, data):
    layer = data.draw(st.integers(0, stack.side.shape[1] - 1))
    more = np.array(stack.out_channels)
    more[0, layer] += data.draw(st.integers(1, 40))
    wider = Stack(stack.side, stack.in_channels, stack.kernel, more, stack.pooled)
    plans = [floorplan(layers_of(one, setting), setting) for one in (stack, wider)]
    for name in ("tile", "pe", "novel_pe", "positions", "novel", "feasible"):
        assume(np.array_equal(getattr(plans[0], name), getattr(plans[1], name)))
    before, after = (evaluate(one, setting).area_um2[0] for one in (stack, wider))
    assume(np.isfinite(before))
    assert after >= before * (1 - 1e-12)


def test_mixed_hardware_keeps_the_order_of_rows():
    rng = np.random.default_rng(3)
    stack = CIFAR10.stack_of(rng.choice([48, 64, 96], (40, 6)), rng.choice([1, 3, 5], (40, 6)))
    settings_ = [Hardware(subarray=s, cell_bits=b) for s in (64, 128) for b in (1, 2)]
    chosen = [settings_[index] for index in rng.integers(0, 4, 40)]
    mixed = rows(evaluate_mixed(stack, chosen))
    for row, one in enumerate(chosen):
        np.testing.assert_array_equal(mixed[row], rows(evaluate(stack[row : row + 1], one))[0])


def test_chunks_do_not_show():
    channels = np.tile(np.arange(16, 16 + 2500)[:, None] % 120 + 8, (1, 6))
    stack = CIFAR10.stack_of(channels, np.full_like(channels, 3))
    whole = rows(evaluate(stack, Hardware()))
    np.testing.assert_array_equal(whole[2040:2060], rows(evaluate(stack[2040:2060], Hardware())))
    assert len(whole) == 2500


@settings(max_examples=40, deadline=None)
@given(stacks(), hardware(), st.sampled_from([2, 8]))
def test_pipeline_numbers_are_not_negative(stack, setting, degree):
    pipelined = evaluate_pipelined(stack, setting, degree)
    for name in TOTALS:
        values = getattr(pipelined, name)
        assert np.isnan(values[~pipelined.feasible]).all()
        assert (values[pipelined.feasible] >= 0).all()
    assert np.all(pipelined.tiles[pipelined.feasible] >= 1)


def test_an_empty_batch_is_no_fault():
    none = np.zeros((0, 6), dtype=np.int64)
    assert len(evaluate(CIFAR10.stack_of(none, none), Hardware())) == 0
    assert floorplan_fault(CIFAR10.stack_of(none, none), Hardware()) == []
