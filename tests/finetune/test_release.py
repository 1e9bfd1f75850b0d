"""A release: small, the same bytes each time, and merged elsewhere what it was."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from cim_sim.config import UsageError
from cim_sim.own import OwnScenario, OwnSpace
from finetune import inference
from finetune import release as module
from finetune.__main__ import main
from finetune.merge import is_merged, load_model, load_tuned, merge_adapter
from finetune.release import releasable, release, write_release
from finetune.roundtrip import placed
from search.llm.lineage import lineage_of
from search.llm.model import ModelConfig, directory_digest
from search.record.adapter import RoundTrip, read_manifest
from search.record.tasks import OwnTask, read_tasks
from search.study.family import tasks as family

pytestmark = pytest.mark.slow  # a real training of four steps

OUT = Path("released")
MODELS = Path("models/released")


def passed(served, **changes):
    figures = {"prompts": 1, "tokens": 1, "concurrency": 8, "dtype": "float32", "base": "d"}
    nats = ("tuned_against_transformers", "base_against_transformers", "tuned_against_base")
    trip = {"passed": True, "faults": [], "served": served, "same_text": 1.0, **figures}
    return RoundTrip(**{**trip, **dict.fromkeys(nats, 0.0), **changes}).model_dump_json()


def write_trip(adapter, **changes):
    served = directory_digest(adapter / "merged")
    (adapter / "roundtrip.json").write_text(passed(**{"served": served, **changes}))


@pytest.fixture(scope="module", autouse=True)
def _two_prompts():
    """Enough to see that an answer is compared; all of them take their time."""
    every = inference.fixed_prompts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "fixed_prompts", lambda renderer: every(renderer)[:2])
        yield


@pytest.fixture(scope="module")
def merged(adapter, tmp_path_factory):
    """The trained adapter, merged and with a round trip."""
    folder = tmp_path_factory.mktemp("merged") / "local"
    shutil.copytree(adapter, folder, ignore=shutil.ignore_patterns("checkpoint-*"))
    merge_adapter(folder)
    write_trip(folder)
    return folder


@pytest.fixture
def local(merged, tmp_path, tmp_path_factory, monkeypatch):
    """A copy of it; the working directory is one above all that the manifest names."""
    monkeypatch.chdir(tmp_path_factory.getbasetemp())
    return Path(shutil.copytree(merged, tmp_path / "local")).relative_to(Path.cwd())


@pytest.fixture(scope="module")
def released(merged, tmp_path_factory):
    """A release as the verb writes it, without its round trip."""
    out = tmp_path_factory.mktemp("out") / "released"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.getbasetemp())
        write_release(releasable(merged, out), out)
    return out


def refusal(adapter):
    with pytest.raises(UsageError) as refused:
        releasable(adapter, OUT)
    return str(refused.value)


def test_what_was_not_merged_or_served_is_refused_with_what_to_type(local):
    again = f"python -m finetune roundtrip --adapter {local}"
    (local / "roundtrip.json").unlink()
    assert refusal(local) == (
        f"{local}/roundtrip.json is missing, so nobody knows whether vLLM serves what was "
        f"trained; make it: {again}"
    )
    write_trip(local, passed=False, faults=["it differs"])
    assert (
        refusal(local) == f"{local}: its round trip failed (it differs); mend that, then: {again}"
    )
    write_trip(local, served="other")
    assert refusal(local) == (
        f"{local}: its round trip was made with weights other, but merged now are "
        f"{directory_digest(local / 'merged')}; make it anew: {again}"
    )
    shutil.rmtree(local / "merged")
    assert refusal(local) == (
        f"{local}/merged holds no model; make it: python -m finetune merge --adapter {local}"
    )
    (local / "adapter_manifest.json").unlink()
    assert "no finished adapter; make one: python -m finetune pipeline" in refusal(local)


def test_paths_of_this_machine_are_refused_and_those_below_are_made_relative(local, monkeypatch):
    base = releasable(local, OUT).manifest.base
    assert base == str(Path(read_manifest(local).base).relative_to(Path.cwd()))
    monkeypatch.chdir(local)
    manifest = read_manifest(Path())
    elsewhere = ", ".join(sorted([manifest.base, manifest.data]))
    assert f"its manifest names {elsewhere}, which no other machine has" in refusal(Path())


def test_what_is_no_release_is_not_written_over(local):
    with pytest.raises(UsageError, match="is not empty and holds no release; give another --out"):
        releasable(local, local)


def test_it_holds_what_others_need_and_nothing_of_this_machine(released, merged):
    names = {file.name for file in released.iterdir()}
    assert names == {
        "README.md", "adapter_config.json", "adapter_manifest.json", "adapter_model.safetensors",
        "chat_template.jinja", "trained_on.jsonl",
    }  # fmt: skip
    for file in released.iterdir():
        assert str(Path(read_manifest(merged).base).parent).encode() not in file.read_bytes()
    config = json.loads((released / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == read_manifest(released).base
    tasks = (merged / "trained_on.jsonl").stat().st_size
    assert (released / "trained_on.jsonl").stat().st_size < tasks / 2
    assert read_tasks(released / "trained_on.jsonl") == read_tasks(merged / "trained_on.jsonl")
    card = (released / "README.md").read_text()
    served = directory_digest(merged / "merged")
    assert f"rounded to bfloat16 from those that the served model {served} was merged\n" in card
    assert "`merged/`" not in card


def test_weights_are_bf16_and_bytes_are_the_same_each_time(released, local):
    import torch
    from safetensors.torch import load_file

    ours = load_file(released / "adapter_model.safetensors")
    theirs = load_file(local / "adapter_model.safetensors")
    assert {weight.dtype for weight in ours.values()} == {torch.bfloat16}
    assert all(torch.equal(ours[name], theirs[name].bfloat16()) for name in theirs)
    out = local.parent / "again"
    nats = write_release(releasable(local, out), out)
    assert nats == read_manifest(out).released.rounding_nats > 0
    for file in released.iterdir():
        assert file.read_bytes() == (out / file.name).read_bytes(), file.name


def test_it_merges_elsewhere_into_what_the_original_is(released, local):
    from torch.testing import assert_close

    out = local.parent / MODELS
    merge_adapter(released, out)
    (ours, tokenizer), (theirs, _) = load_model(out), load_model(local / "merged")
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(own, other, rtol=2**-7, atol=1e-4)
    assert tokenizer.chat_template == (local / "chat_template.jinja").read_text()
    assert is_merged(released, out)
    assert not is_merged(local, out)
    model = ModelConfig(name="released", path=out)
    assert placed(model, released) == model
    found = lineage_of(model, family("near", 1)[0])
    assert found.adapter.manifest == read_manifest(released)
    assert found.adapter.round_trip is None
    assert (
        found.nearest
        == lineage_of(
            ModelConfig(name="local", path=local / "merged"), family("near", 1)[0]
        ).nearest
    )


def test_the_round_trip_of_these_weights_is_carried_and_no_other(released, local):
    own = Path(shutil.copytree(released, local.parent / "own"))
    out = local.parent / MODELS
    merge_adapter(own, out)
    first = directory_digest(out)
    (own / "roundtrip.json").write_text(passed("other"))
    merge_adapter(own, out)
    assert directory_digest(out) == first
    assert not (out / "roundtrip.json").exists()
    (own / "roundtrip.json").write_text(passed(first, server="vllm 1"))
    merge_adapter(own, out)
    found = lineage_of(ModelConfig(name="released", path=out), family("near", 1)[0])
    assert found.adapter.round_trip.server == "vllm 1"


def test_a_damaged_release_is_refused(released, local):
    own = Path(shutil.copytree(released, local.parent / "own"))
    weights = own / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-2] + b"\0\0")
    with pytest.raises(UsageError, match="the file is damaged: get the folder anew"):
        load_tuned(own)


def test_a_tokenizer_of_its_own_goes_with_it(local):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(local)
    tokenizer.add_tokens(["<|own|>"])
    tokenizer.save_pretrained(local)
    write_trip(local, served=directory_digest(local))
    out = local.parent / "own"
    write_release(releasable(local, out), out)
    assert "<|own|>" in load_tuned(out).tokenizer.get_vocab()


def test_the_command_writes_merges_and_checks(local, monkeypatch, capsys):
    def check(adapter, model, base):
        result = passed(directory_digest(model.path), concurrency=model.concurrency)
        (model.path / "roundtrip.json").write_text(result)
        return RoundTrip.model_validate_json(result)

    monkeypatch.setattr(module, "check", check)
    out = local.parent / "out"
    model = ModelConfig(name="released", path=local.parent / MODELS)
    said = release(releasable(local, out), out, model, model)
    assert said["roundtrip_passed"]
    assert said["digest"] == directory_digest(out)
    assert said["megabytes"] < 1
    assert (out / "roundtrip.json").read_bytes() == (model.path / "roundtrip.json").read_bytes()
    capsys.readouterr()
    monkeypatch.setattr(
        sys, "argv", ["x", "merge", "--adapter", str(out), "--out", str(model.path)]
    )
    assert main() == 0
    again = f"{model.path} holds this adapter already; remove it to merge anew\n"
    assert capsys.readouterr().out == again
    with pytest.raises(UsageError, match="a release is served merged: give path, no adapter"):
        release(releasable(local, out), out, model.model_copy(update={"adapter": out}), model)


def test_a_task_of_the_user_s_own_is_read_alike_without_its_defaults(tmp_path):
    space = OwnSpace(name="mine", choices={"width": [1, 2]})
    scenario = OwnScenario(name="one", choose="an adder", objective="speed")
    task = OwnTask(space=space, scenario=scenario)
    (tmp_path / "t").write_text(task.model_dump_json(exclude_defaults=True) + "\n")
    assert read_tasks(tmp_path / "t") == [task]
