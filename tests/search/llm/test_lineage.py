"""What a model was made from, as its directories say."""

import json
import shutil

import pytest

from cim_sim.config import UsageError, load
from cim_sim.scenario import Scenario
from cim_sim.space import Space
from search.llm.lineage import lineage_of
from search.llm.model import ModelConfig, directory_digest
from search.record.tasks import Task

TASK = Task(
    scenario=load("configs/scenarios/embedded-latency.yaml", Scenario),
    space=load("configs/spaces/embedded.yaml", Space),
)
MANIFEST = {
    "base_digest": "d", "data": "data", "data_digest": "d", "examples": 1, "renderer": "r",
    "template": "t", "end_token": "e", "steps": 1, "dtype": "float32", "dtype_reason": "",
    "seconds": 1.0, "recipe": {}, "versions": {}, "trained_on": ["s1", "s2"], "seed": 0,
}  # fmt: skip
ROUND_TRIP = {
    "faults": [], "prompts": 1, "tokens": 1, "concurrency": 8, "dtype": "float32", "served": "w",
    "tuned_against_transformers": 0.0, "base_against_transformers": 0.0, "same_text": 1.0,
    "tuned_against_base": 1.0, "base": "d",
}  # fmt: skip


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "README.md").write_text("# A base\n")
    return folder


@pytest.fixture
def adapter(tmp_path, base):
    folder = tmp_path / "adapter"
    (folder / "merged").mkdir(parents=True)
    (folder / "adapter_manifest.json").write_text(json.dumps({**MANIFEST, "base": str(base)}))
    return folder


def test_a_merged_copy_is_traced_to_the_adapter_around_it(adapter, base):
    (adapter / "roundtrip.json").write_text(json.dumps({**ROUND_TRIP, "passed": True}))
    merged = lineage_of(ModelConfig(name="local", path=adapter / "merged"), TASK)
    served = lineage_of(ModelConfig(name="local", path=base, adapter=adapter), TASK)
    assert merged == served
    assert merged.adapter.manifest.trained_on == ("s1", "s2")
    assert merged.adapter.round_trip.passed


def test_merged_weights_of_an_earlier_training_are_not_those_of_the_adapter_around_them(adapter):
    own = adapter / "merged" / "adapter_manifest.json"
    model = ModelConfig(name="local", path=adapter / "merged")
    own.write_bytes((adapter / "adapter_manifest.json").read_bytes())
    (adapter / "roundtrip.json").write_text(json.dumps({**ROUND_TRIP, "passed": True}))
    assert lineage_of(model, TASK).adapter.round_trip.passed
    own.write_text(json.dumps({**json.loads(own.read_text()), "steps": 2}))
    found = lineage_of(model, TASK).adapter
    assert (found.manifest.steps, found.round_trip) == (2, None)


def test_a_round_trip_that_was_not_made_is_none(adapter):
    model = ModelConfig(name="local", path=adapter / "merged")
    assert lineage_of(model, TASK).adapter.round_trip is None


def test_an_unfinished_or_damaged_adapter_is_a_clear_error(adapter, base):
    model = ModelConfig(name="local", path=base, adapter=adapter)
    for text, fault in (("{", "not JSON"), ("{}", "base is missing")):
        (adapter / "adapter_manifest.json").write_text(text)
        with pytest.raises(UsageError, match=rf"adapter_manifest\.json: {fault}"):
            lineage_of(model, TASK)
    (adapter / "adapter_manifest.json").write_text(json.dumps({**MANIFEST, "base": str(base)}))
    (adapter / "roundtrip.json").write_text('{"passed": true}')
    with pytest.raises(UsageError, match=r"roundtrip\.json: faults is missing"):
        lineage_of(model, TASK)
    (adapter / "adapter_manifest.json").unlink()
    with pytest.raises(UsageError, match=r"adapter_manifest\.json: no finished adapter; make one"):
        lineage_of(model, TASK)


def test_a_merged_copy_that_was_moved_keeps_its_records(adapter, base, tmp_path):
    """Carried beside the weights, and no part of what identifies the model."""
    merged, moved = adapter / "merged", tmp_path / "elsewhere" / "copy"
    (merged / "config.json").write_text("{}")
    before = directory_digest(merged)
    shutil.copy(adapter / "adapter_manifest.json", merged)
    (merged / "roundtrip.json").write_text(json.dumps({**ROUND_TRIP, "passed": True}))
    twin = TASK.model_copy(update={"scenario": TASK.scenario.model_copy(update={"name": "twin"})})
    (merged / "trained_on.jsonl").write_text(twin.model_dump_json() + "\n")
    assert directory_digest(merged) == before
    shutil.copytree(merged, moved)
    found = lineage_of(ModelConfig(name="local", path=moved), TASK)
    assert found.adapter.round_trip.passed
    assert found.nearest == ("twin", 0.0)
    assert found.unknown is None


def test_what_is_not_known_is_said(base, tmp_path):
    served = ModelConfig(name="x", model="m", base_url="http://127.0.0.1:1/v1")
    assert lineage_of(served, TASK).unknown == "served elsewhere"
    (tmp_path / "bare").mkdir()
    assert lineage_of(ModelConfig(name="x", path=tmp_path / "bare"), TASK).unknown == "no card"
    assert lineage_of(ModelConfig(name="x", path=base), TASK).unknown is None
    assert lineage_of(ModelConfig(name="x", script=tmp_path / "s"), TASK).unknown is None
