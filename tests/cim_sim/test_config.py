"""Strict configuration: every fault named at once, with the file and the nearest name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cim_sim.config import UsageError, canonical_json, digest, dump, load, parse, read_yaml
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
    with pytest.raises(UsageError, match=r": Is a directory; name a file in it: .*scenario\.yaml"):
        load(tmp_path, Scenario)
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


def bomb(levels, width=10):
    lists = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join([f"l0: &l0 [{', '.join(['1'] * width)}]", *lists])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD + "name: again\n", "not YAML: the key name stands twice"),
        (bomb(9), "not YAML: its aliases stand for more than 1,000,000 values"),
        ("a: &a [*a]", "nested too deeply"),
        ("[" * 5000 + "]" * 5000, "nest"),
    ],
)
def test_a_file_that_would_mislead_or_never_end_is_refused(tmp_path, text, fault):
    with pytest.raises(UsageError, match=fault):
        load(written(tmp_path, text), Scenario)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[" * 9999, "nested too deeply"),
        ('{"a": NaN}', "NaN is no number of"),
        ('{"b": {"a": 1, "a": 2}}', "the key a stands twice"),
    ],
)
def test_json_too(tmp_path, text, fault):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UsageError, match=fault):
        read_yaml(tmp_path / "a.json")


def test_aliases_and_merged_keys_are_welcome(tmp_path):
    text = GOOD.replace("hardware: ", "hardware: &h ") + "limits: {area_um2: 1.0e+7}\n"
    assert load(written(tmp_path, text), Scenario).limits.area_um2 == 1e7
    merged = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n"
    assert read_yaml(written(tmp_path, merged))["b"] == {"x": 1, "y": 3}


def test_an_error_shows_little_of_a_large_value():
    with pytest.raises(UsageError) as caught:
        parse(list(range(10**6)), Scenario, "here")
    assert str(caught.value).startswith("here: expected keys of Scenario, found [0, 1, 2,")
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../x", "a\nb", "\x1b[2J", "a\u2028b", "x" * 201]
)
def test_a_name_is_a_folder_s(tmp_path, name):
    whole = read_yaml(written(tmp_path, GOOD)) | {"name": name}
    with pytest.raises(UsageError, match="name: a folder is called so: expected printable"):
        parse(whole, Scenario, "here")


def test_a_normaliser_leaves_rewards_finite(tmp_path):
    text = GOOD.replace("metric: energy", "metric: energy, normaliser_pj: 1.0e-308")
    with pytest.raises(UsageError, match="normaliser_pj: Input should be greater than or equal to"):
        load(written(tmp_path, text), Scenario)
