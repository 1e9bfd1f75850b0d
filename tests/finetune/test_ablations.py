"""What each part of a judge's training buys: trainings that lack it, measured in pairs."""

import json
from math import log
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from cim_sim.config import UsageError, load
from finetune.ablations import (
    PARTS,
    RECORD,
    Ablation,
    Asked,
    Measured,
    _weights,
    by_weights,
    drawn,
    table,
)
from finetune.commands.ablate import ablate
from finetune.dataset import read_manifest

SHORT = (
    "per_device_train_batch_size=1",
    "per_device_eval_batch_size=1",
    "assistant_only_loss=false",
    "max_steps=1",
)


def ablation(part, error, correlation):
    untuned = Measured(error=(0.3, 0.3), correlation=(0.0, 0.0))
    after = Measured(error=error, correlation=correlation)
    asked = Asked(part=part, data="0" * 16, base="1" * 16, recipe={})
    return Ablation(asked=asked, steps=80, seconds=1.0, before=untuned, after=after)


def test_trainings_are_compared_in_pairs_with_the_whole_one():
    whole = ablation("whole", (0.1, 0.1), (0.9, 0.5))
    without = ablation("unordered", (0.1, 0.2), (0.8, 0.4))
    assert table([whole, without], (0.6, 0.2), ["one", "other"]).splitlines() == [
        "| training | steps | error | correlation | correlation lost |",
        "| --- | --- | --- | --- | --- |",
        "| more weights, more accuracy: no model |  |  | 0.40 [0.20, 0.60] | 0.30 [0.30, 0.30] |",
        "| whole, untrained | 0 | 0.300 [0.300, 0.300] | 0.00 [0.00, 0.00] | 0.70 [0.50, 0.90] |",
        "| whole | 80 | 0.100 [0.100, 0.100] | 0.70 [0.50, 0.90] |  |",
        "| without the order | 80 | 0.150 [0.100, 0.200] | 0.60 [0.40, 0.80] | 0.10 [0.10, 0.10] |",
    ]


def test_the_committed_table_is_that_of_the_committed_trainings():
    folder = Path("datasets/ablations")
    rule = json.loads((folder / "rule.json").read_text())
    done = [load(folder / f"{name}.json", Ablation) for name in PARTS]
    assert [one.asked.part for one in done] == [*PARTS]
    assert {(one.asked.data, one.steps) for one in done} == {("aa6ef9d6c9db7160", 80)}
    found = table(done, tuple(rule["correlation"]), rule["scenarios"])
    assert (folder / "README.md").read_text().endswith(f"\n\n{found}\n")


def test_a_rule_that_counts_weights_orders_designs_without_a_model(judged):
    found = by_weights(judged)
    assert len(found) == read_manifest(judged).counts["validation"]
    assert all(-1 <= one <= 1 for one in found)


@pytest.mark.parametrize(
    ("written", "count"),
    [("[[16,3],[32,1]]", 16 * 9 + 16 * 32), ('{"layers":[[8,5]],"hardware":{"cell_bits":1}}', 200)],
)
def test_weights_are_counted_as_a_design_is_written(written, count):
    assert _weights(written) == pytest.approx(log(count))


def test_weights_drawn_anew_are_a_base_of_the_same_shape(small_model, tmp_path):
    folder = drawn(Path(small_model), tmp_path)
    assert drawn(Path(small_model), tmp_path) == folder
    old, new = (AutoModelForCausalLM.from_pretrained(one) for one in (small_model, folder))
    shapes = [{name: p.shape for name, p in one.named_parameters()} for one in (old, new)]
    assert shapes[0] == shapes[1]
    one, other = (one.model.layers[0].mlp.up_proj.weight for one in (old, new))
    assert not torch.equal(one, other)
    assert float(other.detach().std()) == pytest.approx(new.config.initializer_range, rel=0.1)


def test_what_cannot_be_compared_is_refused_before_hours_of_training(
    recipe_file, judged, data, tmp_path, monkeypatch
):
    asked = {"out": tmp_path / "out", "config": recipe_file, "overrides": SHORT}
    with pytest.raises(UsageError, match="expected judgements with 2 or more held-out scenarios"):
        ablate(data=data, **asked)
    with pytest.raises(UsageError, match="--parts names no training: give some of whole, unord"):
        ablate(data=judged, **asked, parts=())
    with pytest.raises(UsageError, match="max_step"):
        ablate(data=judged, **{**asked, "overrides": ("max_step=1",)}, dry_run=True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="ablate trains in one process"):
        ablate(data=judged, **asked)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_each_training_lacks_what_its_name_says_and_is_made_once(
    recipe_file, judged, tmp_path, capsys
):
    asked = {"data": judged, "out": tmp_path, "config": recipe_file, "overrides": SHORT}
    assert ablate(**asked, dry_run=True) == 0
    assert not any(tmp_path.iterdir())
    assert ablate(**asked) == 0
    first = capsys.readouterr().out
    assert all(part.words in first for part in PARTS.values())
    done = {name: load(tmp_path / name / RECORD, Ablation) for name in PARTS}
    held_out = read_manifest(judged).counts["validation"]
    assert {len(one.after.error) for one in done.values()} == {held_out}
    assert {one.asked.data for one in done.values()} == {read_manifest(judged).digest}
    # All but the random ones begin with the same answers, and end with others.
    assert done["whole"].before == done["unordered"].before == done["digits"].before
    assert done["drawn"].before == done["drawn-256"].before != done["whole"].before
    assert len({one.after.error for one in done.values()}) == len(PARTS)
    assert done["unordered"].asked.recipe["ordered"] is False
    assert json.loads((tmp_path / "drawn-256" / "adapter_config.json").read_text())["r"] == 256
    assert ablate(**asked) == 0
    again = capsys.readouterr().out
    assert again.split("| training")[1] == first.split("| training")[1]
    (tmp_path / "unordered" / RECORD).unlink()
    with pytest.raises(UsageError, match="unordered was begun with another recipe: give what"):
        ablate(**{**asked, "overrides": (*SHORT, "seed=1")}, parts=("unordered",))
