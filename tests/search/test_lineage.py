"""What a model was made from, as its directories say."""

import json

import pytest

from cim_sim.config import UsageError
from search.llm.model import ModelConfig
from search.record.adapter import lineage_of


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "README.md").write_text("---\ntags: [co-design, stand-in]\n---\n# Stand-in\n")
    return folder


@pytest.fixture
def adapter(tmp_path, base):
    folder = tmp_path / "adapter"
    (folder / "merged").mkdir(parents=True)
    manifest = {"base": str(base), "trained_on": ["s1", "s2"], "recipe": {"long": 1}, "seed": 0}
    (folder / "adapter_manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_base_is_a_stand_in_when_its_card_says_so(base, tmp_path):
    assert lineage_of(ModelConfig(name="base", path=base)).stand_in
    (base / "README.md").write_text("# stand-in\n")
    assert not lineage_of(ModelConfig(name="base", path=base)).stand_in
    assert not lineage_of(ModelConfig(name="x", path=tmp_path / "none")).stand_in


def test_a_merged_copy_is_traced_to_the_adapter_around_it(adapter, base):
    (adapter / "roundtrip.json").write_text('{"passed": true}')
    merged = lineage_of(ModelConfig(name="local", path=adapter / "merged"))
    served = lineage_of(ModelConfig(name="local", path=base, adapter=adapter))
    assert merged == served
    assert merged.stand_in
    assert merged.adapter.trained_on == ("s1", "s2")
    assert merged.adapter.passed
    assert "recipe" not in merged.adapter.manifest


def test_a_round_trip_that_was_not_made_has_not_passed(adapter):
    model = ModelConfig(name="local", path=adapter / "merged")
    assert not lineage_of(model).adapter.passed
    (adapter / "roundtrip.json").write_text('{"passed": false}')
    assert not lineage_of(model).adapter.passed


def test_an_unfinished_or_damaged_adapter_is_a_clear_error(adapter, base):
    model = ModelConfig(name="local", path=base, adapter=adapter)
    (adapter / "adapter_manifest.json").write_text("{")
    with pytest.raises(UsageError, match=r"adapter_manifest\.json: not JSON"):
        lineage_of(model)
    (adapter / "adapter_manifest.json").unlink()
    with pytest.raises(UsageError, match=r"adapter_manifest\.json: No such file.*finished\?"):
        lineage_of(model)
