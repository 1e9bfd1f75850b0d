"""Kills of a training in real processes, many of them while it writes a checkpoint.

KILLS=50 python -m pytest tests/finetune/test_kills.py   is the long form.
"""

import json
import os
import random
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "2"))
KILLS_A_TRAINING = 5
STEPS = 4
STATE = "trainer_state.json"


def start(recipe_file, data, out):
    command = [
        sys.executable, "-m", "finetune", "train", "--config", recipe_file, "--data", data,
        "--out", out, "--resume", "--set", "save_steps=1", "save_total_limit=2",
    ]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(list(map(str, command)), **pipes)


def checkpoints(out):
    return {path.name for path in out.glob("checkpoint-*")}


def wait_for_another_checkpoint(child, out):
    known = checkpoints(out)
    while child.poll() is None and checkpoints(out) <= known:
        time.sleep(0.001)


def found(out):
    """Return the losses of a training by step, and its adapter."""
    from safetensors.torch import load_file

    history = json.loads((out / f"checkpoint-{STEPS}" / STATE).read_text())["log_history"]
    losses = {entry["step"]: entry["loss"] for entry in history if "loss" in entry}
    return losses, load_file(out / "adapter_model.safetensors")


def test_kill_9_at_random_moments_changes_no_training(recipe_file, data, adapter, tmp_path):
    """Resumed again and again, it logs the unbroken training's losses and ends at its adapter."""
    losses, weights = found(adapter)
    assert sorted(losses) == list(range(1, STEPS + 1))
    moments, torn = random.Random(0), 0
    for number in range(0, KILLS, KILLS_A_TRAINING):
        out = tmp_path / f"training{number}"
        for _ in range(min(KILLS_A_TRAINING, KILLS - number)):
            child = start(recipe_file, data, out)
            wait_for_another_checkpoint(child, out)
            time.sleep(moments.choice([0, 0.02, 1]) * moments.random())
            child.kill()
            child.communicate()
            torn += any(not (out / name / STATE).exists() for name in checkpoints(out))
        child = start(recipe_file, data, out)
        _, err = child.communicate(timeout=300)
        assert child.returncode == 0, err
        losses_now, weights_now = found(out)
        assert losses_now == pytest.approx(losses, abs=1e-4)
        assert weights_now.keys() == weights.keys()
        assert max(float((weights_now[k] - weights[k]).abs().max()) for k in weights) < 1e-3
    print(f"{KILLS} kills, {torn} within a checkpoint")


def test_a_torn_checkpoint_is_none(tmp_path):
    from finetune.train import last_checkpoint

    for name, state in (
        ("checkpoint-2", "{}"),
        ("checkpoint-10", '{"log_history": ['),
        ("checkpoint-4", None),
    ):
        (tmp_path / name).mkdir()
        if state is not None:
            (tmp_path / name / STATE).write_text(state)
    assert last_checkpoint(tmp_path, resume=True, overwrite=False) == tmp_path / "checkpoint-2"
