"""Several processes train one model: their gradients are averaged."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from finetune.train import fit, prepare
from search.record.adapter import read_manifest

ALONE = (
    "per_device_train_batch_size=1",
    "per_device_eval_batch_size=1",
    "max_steps=3",
    "optim=sgd",  # Adam makes whole steps of rounding errors where a gradient is none
    "learning_rate=0.1",
    "lora_dropout=0.0",
)


@pytest.mark.slow
@pytest.mark.parametrize("lessons", ["judged", "foreseeing"])
def test_two_processes_learn_what_one_does_from_the_same_batches(
    lessons, request, recipe_file, tmp_path
):
    data = request.getfixturevalue(lessons)
    trainer, recipe, _ = prepare(
        recipe_file, (*ALONE, "gradient_accumulation_steps=2"), data, tmp_path / "one"
    )
    fit(trainer, recipe, data, None)
    launch = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    train = ("-m", "finetune", "train", "--config", recipe_file, "--data", data)
    options = ("--out", tmp_path / "two", "--set", *ALONE, "ddp_backend=gloo")
    done = subprocess.run(
        [*map(str, (*launch, *train, *options))],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    learnt = [torch.cat([each[key].flatten() for key in sorted(one)]) for each in (one, two)]
    assert float((learnt[0] - learnt[1]).norm() / learnt[0].norm()) < 1e-4
    losses = [read_manifest(tmp_path / name).losses for name in ("one", "two")]
    assert losses[0]["held-out after"] == pytest.approx(losses[1]["held-out after"], abs=1e-3)
