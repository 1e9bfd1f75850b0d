"""Strict configuration: every fault named at once, with the file and the nearest name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cim_sim.config import UsageError, canonical_json, digest, dump, load, parse
from cim_sim.scenario import Scenario

GOOD = """
name: small
hardware: {subarray: 128, cell_bits: 2, adc_levels: 32, mapping: novel}
variation: {sigma: 0.07}
objective: {metric: energy}
"""


def written(tmp_path, text):
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    return path


def test_good_file_survives_a_round_trip(tmp_path):
    scenario = load(written(tmp_path, GOOD), Scenario)
    again = load(written(tmp_path, dump(scenario)), Scenario)
    assert again == scenario
    assert again.digest == scenario.digest


def test_every_fault_is_named_at_once_with_the_nearest_name(tmp_path):
    text = GOOD.replace("subarray: 128", "subaray: 128").replace("0.07", "seven")
    text += "limts: {}\n"
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load(path, Scenario)
    message = str(caught.value)
    assert f"{path}: hardware.subaray is not known; did you mean hardware.subarray?" in message
    assert "variation.sigma: Input should be a valid number" in message
    assert "found 'seven'" in message
    assert "limts is not known; did you mean limits?" in message


def test_wrong_choice_names_what_is_allowed(tmp_path):
    with pytest.raises(UsageError, match=r"hardware\.subarray: Input should be 64, 128 or 256"):
        load(written(tmp_path, GOOD.replace("128", "100")), Scenario)


def test_missing_key_is_named(tmp_path):
    with pytest.raises(UsageError, match="objective is missing"):
        load(written(tmp_path, GOOD.replace("objective: {metric: energy}", "")), Scenario)


def test_missing_file_names_the_nearest(tmp_path):
    written(tmp_path, GOOD)
    with pytest.raises(UsageError, match=r"scenari\.yaml: No such file.*did you mean .*scenario"):
        load(tmp_path / "scenari.yaml", Scenario)


@pytest.mark.parametrize("text", ["a: [1", "[1, 2]", "", "\x00"])
def test_what_is_no_mapping_is_refused(tmp_path, text):
    with pytest.raises(UsageError, match=r"scenario\.yaml"):
        load(written(tmp_path, text), Scenario)


def test_sigma_of_weight_and_of_cell_exclude_each_other():
    data = {"name": "x", "hardware": {}, "objective": {"metric": "energy"}}
    with pytest.raises(UsageError, match="exactly one of sigma"):
        parse({**data, "variation": {"sigma": 0.1, "cell_sigma": 0.1}}, Scenario, "here")


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=5))
def test_digest_does_not_see_the_order_of_keys(values):
    backwards = dict(reversed(values.items()))
    assert canonical_json(values) == canonical_json(backwards)
    assert digest(values) == digest(backwards)


def test_name_is_not_part_of_a_scenarios_identity(tmp_path):
    one = load(written(tmp_path, GOOD), Scenario)
    other = load(written(tmp_path, GOOD.replace("small", "other")), Scenario)
    assert one.digest == other.digest
    assert one.digest != one.model_copy(update={"training_sigma": 0.0}).digest
