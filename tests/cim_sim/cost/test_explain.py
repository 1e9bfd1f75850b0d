"""Explanations name the true causes, with the numbers of the breakdown."""

import re

import pytest

from cim_sim.config import load
from cim_sim.cost_study.explain import UNITS, compare, cost_in_parts, explain
from cim_sim.scenario import Scenario
from cim_sim.space import from_wire

PAPER = load("configs/scenarios/paper-energy.yaml", Scenario)
A = from_wire([[32, 3], [32, 3], [64, 3], [64, 3], [128, 3], [128, 3]])


def texts(findings):
    return [finding.text for finding in findings]


def test_one_odd_kernel_falls_back_to_conventional_mapping():
    b = from_wire([[32, 3], [32, 5], [64, 3], [64, 3], [128, 3], [128, 3]])
    findings = compare(A, b, PAPER)
    latency = next(finding for finding in findings if finding.kind == "latency")
    assert latency.before == pytest.approx(339_602, rel=1e-4)
    assert latency.after == pytest.approx(791_132, rel=1e-4)
    assert "latency 339.6 us -> 791.1 us (x2.33), most of it buffers" in latency.text
    second = [finding for finding in findings if finding.layer == 2]
    assert [finding.kind for finding in second] == [
        "layer",
        "mapping",
        "duplication",
        "utilisation",
        "work",
    ]
    assert second[1].text == (
        "mapped by kernel position -> mapped conventionally: its kernel 5 is not 3, the network's "
        "most frequent"
    )
    assert (second[2].before, second[2].after) == (16, 8)
    assert second[2].text == "duplication 16 -> 8"
    assert {finding.layer for finding in findings} == {None, 2}


def test_a_design_equals_itself():
    findings = compare(A, A, PAPER)
    assert [finding.kind for finding in findings] == ["latency", "energy", "area", "utilisation"]
    assert all(finding.before == finding.after for finding in findings)


def test_where_the_cost_of_one_design_comes_from():
    findings = explain(A, PAPER)
    assert findings[0].text.startswith("latency 339.6 us: buffers 65 %, accumulation 20 %")
    assert findings[3].text == "weights fill 73 % of 15 tiles"
    first = next(finding for finding in findings if finding.layer == 1)
    assert "its 27 rows do not fill a subarray of 128" in first.text
    assert "1 of 15 tiles, so bus share 1/15" in first.text
    parts = cost_in_parts(A, PAPER).parts
    assert first.after == pytest.approx(parts.latency_ns[:, 0, 0].sum())


def test_a_changed_majority_is_named():
    b = from_wire([[32, 3], [32, 5], [64, 5], [64, 5], [128, 5], [128, 3]])
    assert "the most frequent kernel 3 -> 5" in texts(compare(A, b, PAPER))


def test_only_what_is_most_of_a_change_is_called_so():
    b = from_wire([[32, 3], [32, 3], [64, 3], [64, 3], [128, 3], [64, 3]])
    for finding in compare(A, b, PAPER)[:3]:
        (moved,) = re.findall(r"most of (?:it|all) [\w ]+: ([\d.]+) \w+ -> ([\d.]+)", finding.text)
        part, whole = float(moved[1]) - float(moved[0]), finding.after - finding.before
        assert ("most of it" in finding.text) == (2 * part / (whole * UNITS[finding.kind][1]) >= 1)


def test_leakage_and_a_kernel_that_decides_nothing():
    fixed = {"device": "sram", "cell_bits": 1, "mapping": "conventional", "subarray": 256}
    hardware = PAPER.hardware.model_copy(update={**fixed, "node_nm": 45})
    leaky = PAPER.model_copy(update={"hardware": hardware})
    small = from_wire([[32, 3]] * 6)
    wide = from_wire([[128, 5], *[[32, 5]] * 3, [32, 3], [32, 3]])
    found = compare(small, wide, leaky)
    assert "frequent_kernel" not in {finding.kind for finding in found}
    totals = [cost_in_parts(one, leaky).parts.totals for one in (small, wide)]
    before, after = (float(total.leakage_energy_pj[0]) * 1e-6 for total in totals)
    energy = next(finding for finding in found if finding.kind == "energy")
    assert f"leakage: {before:.4g} uJ -> {after:.4g} uJ" in energy.text


def test_no_floorplan_is_the_explanation():
    narrow = from_wire([[16, 3]] * 6)
    (alone,) = explain(narrow, PAPER)
    assert alone.kind == "infeasible"
    assert alone.text.startswith("no floorplan: layer 2, the widest of those mapped")
    (found,) = compare(A, narrow, PAPER)
    assert found.text.startswith("B has no floorplan: layer 2")


def test_hardware_in_the_design_shows_as_clock_and_tiles():
    free = load("configs/scenarios/codesign-energy.yaml", Scenario)
    layers = [[48, 3]] * 6
    hardware = {"subarray": 128, "cell_bits": 2, "mapping": "novel"}
    a = from_wire({"layers": layers, "hardware": hardware})
    b = from_wire({"layers": layers, "hardware": {**hardware, "subarray": 256}})
    kinds = {finding.kind for finding in compare(a, b, free)}
    assert {"clock", "tiles"} <= kinds or "infeasible" in kinds
