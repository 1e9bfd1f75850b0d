"""An adapter's directory: complete by itself, and bound to its base."""

import shutil

import pytest

from cim_sim.config import UsageError
from cim_sim.files import read
from finetune.adapter import require_base
from finetune.dataset import read_manifest as read_data
from search.llm.examples import renderer_digest
from search.llm.model import directory_digest
from search.record.adapter import TRAINED_ON, read_manifest
from search.record.tasks import Task

pytestmark = pytest.mark.slow  # a real training of four steps


def test_the_manifest_says_where_the_adapter_comes_from(adapter, small_model, data):
    manifest = read_manifest(adapter)
    assert manifest.base_digest == directory_digest(small_model)
    assert manifest.trained_on == read_data(data).trained_on
    tasks = read(adapter / TRAINED_ON, Task).records
    assert {task.scenario.digest for task in tasks} == set(manifest.trained_on)
    assert manifest.renderer == renderer_digest()
    assert manifest.steps == 4
    assert manifest.losses["held-out after"] < manifest.losses["held-out before"]
    assert manifest.dtype == "float32"
    assert manifest.dtype_reason.startswith("named by bf16")
    assert manifest.versions.keys() >= {"trl", "peft", "torch"}
    assert (adapter / "chat_template.jinja").is_file()
    card = (adapter / "README.md").read_text()
    assert manifest.base_digest in card
    assert "4 steps in float32" in card
    require_base(adapter, small_model)


def test_peft_loads_the_adapter_with_nothing_else(adapter):
    from peft import AutoPeftModelForCausalLM

    model = AutoPeftModelForCausalLM.from_pretrained(adapter)
    assert model.peft_config["default"].r == 4
    assert model.peft_config["default"].modules_to_save is None


def test_another_base_is_refused(adapter, small_model, tmp_path):
    shutil.copytree(small_model, tmp_path / "base")
    (tmp_path / "base" / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"trained on a base with digest .*train again"):
        require_base(adapter, tmp_path / "base")
