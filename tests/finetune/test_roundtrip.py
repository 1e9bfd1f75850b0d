"""The round trip: a served adapter passes; one that is not applied fails the gate."""

import shutil
from pathlib import Path

import pytest

from cim_sim.config import UsageError
from finetune.inference import Answer
from finetune.roundtrip import Served, check, judge, placed, record_places
from search.llm.lineage import lineage_of
from search.llm.model import ModelConfig
from search.record.adapter import ROUND_TRIP
from search.study.family import tasks

ANSWERS = [Answer([], [1, 2], [3, 4])]
TUNED = [[-0.1, -0.2]]


def outcome(served, base, prompt_ids=(1, 2)):
    return judge(
        ANSWERS,
        texts=["x"],
        expected=(TUNED, [[-2.0, -1.0]]),
        served=(Served(served, [list(prompt_ids)], ["x"]), Served(base, [[1, 2]], ["y"])),
    )


def test_an_applied_adapter_passes():
    assert outcome([[-0.101, -0.202]], [[-2.01, -1.0]])[0] == []


def test_a_server_that_applies_nothing_fails():
    faults, _ = outcome([[-2.0, -1.0]], [[-2.0, -1.0]])
    assert any("differs from its base by only 0.0000 nats" in fault for fault in faults)
    assert any("vLLM and transformers disagree by 1.3500" in fault for fault in faults)


def test_another_template_fails():
    faults, _ = outcome(TUNED, [[-2.0, -1.0]], prompt_ids=(1, 9))
    assert faults == ["the server's chat template gives other tokens than the training's"]


def test_the_configuration_of_the_search_is_used_with_this_adapter(tmp_path):
    merged = ModelConfig(name="local", path="runs/finetune/local/merged")
    assert placed(merged, tmp_path).path == tmp_path / "merged"
    on_top = ModelConfig(name="local", path="base", adapter="elsewhere")
    assert placed(on_top, tmp_path).adapter == tmp_path
    assert str(placed(on_top, tmp_path).path) == "base"


def test_what_was_merged_earlier_is_not_served_for_it(tmp_path):
    model = ModelConfig(name="local", path=tmp_path / "adapter/merged")
    (tmp_path / "adapter" / "merged").mkdir(parents=True)
    for place, text in (("adapter", "{}"), ("adapter/merged", '{"steps": 1}')):
        (tmp_path / place / "adapter_manifest.json").write_text(text)
        (tmp_path / place / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"merged does not hold .*adapter as it is now; type: "):
        check(tmp_path / "adapter", model, model)


def test_a_check_that_cannot_begin_leaves_the_last_one_as_it_is(adapter, tmp_path):
    """Without it nobody would compare or release what had passed."""
    folder = tmp_path / "adapter"
    shutil.copytree(adapter, folder)
    (folder / ROUND_TRIP).write_text("passed")
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "model.safetensors").write_bytes(b"another")
    on_top = ModelConfig(name="local", path=tmp_path / "base", adapter=folder)
    with pytest.raises(UsageError, match="base"):
        check(folder, on_top, on_top.model_copy(update={"adapter": None}))
    assert (folder / ROUND_TRIP).read_text() == "passed"


def test_a_record_lies_beside_its_adapter_however_that_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = ModelConfig(name="local", path="local/merged")
    assert record_places(tmp_path / "local", model) == [tmp_path / "local", Path("local/merged")]


@pytest.mark.slow
@pytest.mark.vllm
def test_a_really_trained_and_really_served_model_passes(checked, tmp_path):
    folder, local, result = checked
    assert result.faults == ()
    assert result.tuned_against_base > 5 * result.tuned_against_transformers
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder / "merged", moved)
    [task] = tasks("near", 1)
    found = lineage_of(local.model_copy(update={"path": moved}), task)
    assert found.adapter.round_trip == result
    assert found.nearest is not None
