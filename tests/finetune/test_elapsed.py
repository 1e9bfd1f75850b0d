"""How long a training took: over its resumes, and over the trainings before it."""

from types import SimpleNamespace

import pytest

from cim_sim.config import UsageError
from finetune.adapter import trainings, write_manifest
from search.record.adapter import AdapterManifest

PLAIN = AdapterManifest(
    base="b", base_digest="d", data="data", data_digest="d", trained_on=(), examples=1,
    renderer="r", template="t", end_token="e", seed=0, steps=280, dtype="bfloat16",
    dtype_reason="", seconds=928.0, recipe={}, versions={},
)  # fmt: skip


def saved(clock, out, step):
    (out / f"checkpoint-{step}").mkdir()
    state = SimpleNamespace(is_world_process_zero=True, global_step=step)
    clock.on_save(SimpleNamespace(output_dir=str(out)), state, None)
    return out / f"checkpoint-{step}"


def card_of(folder, **changes):
    folder.mkdir()
    write_manifest(folder, PLAIN.model_copy(update=changes))
    return (folder / "README.md").read_text()


def test_a_clock_goes_on_from_a_checkpoint(tmp_path):
    from finetune.elapsed import Clock, elapsed_at

    first = saved(Clock(None), tmp_path, 2)
    assert elapsed_at(first).whole
    (first / "elapsed.json").write_text('{"seconds": 5000, "whole": true}')
    second = saved(Clock(first), tmp_path, 4)
    assert elapsed_at(second).seconds >= 5000
    assert elapsed_at(second).whole


def test_a_checkpoint_without_a_record_is_known_to_be_older(tmp_path):
    """So is every one that goes on from it."""
    from finetune.elapsed import Clock, elapsed_at

    (tmp_path / "checkpoint-2").mkdir()
    later = saved(Clock(tmp_path / "checkpoint-2"), tmp_path, 4)
    assert not elapsed_at(later).whole
    assert not Clock(later).elapsed.whole
    (later / "elapsed.json").write_text("{}")
    with pytest.raises(UsageError, match=r"elapsed\.json: seconds is missing"):
        elapsed_at(later)


def test_a_card_says_how_long_and_what_came_before(tmp_path):
    assert "280 steps in bfloat16, at least 928 s, seed 0.\n" in card_of(tmp_path / "old")
    assert "280 steps in bfloat16, 928 s, seed 0.\n" in card_of(tmp_path / "new", whole_time=True)
    lost = card_of(tmp_path / "lost", went_on_from="runs/gone")
    assert "It went on from runs/gone, whose steps are not known here and come on top.\n" in lost


def test_trainings_before_are_found_one_after_the_other(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    card_of(first, steps=200, seconds=1014.9)
    card_of(second, went_on_from=str(first))
    every = trainings(second)
    assert [(one.path, one.steps, one.whole_time) for one in every] == [
        (str(first), 200, False), (str(second), 280, False),
    ]  # fmt: skip
    card = card_of(tmp_path / "third", went_on_from=str(second), earlier=every, steps=20)
    assert f"- {first}: 200 steps, at least 1015 s\n- {second}: 280 steps, at least 928 s\n" in card
    assert "- this one: 20 steps, at least 928 s; 500 in all\n" in card
    (first / "adapter_manifest.json").unlink()
    assert [one.steps for one in trainings(second)] == [280]
