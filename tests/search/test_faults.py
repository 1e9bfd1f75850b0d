"""Kills, Ctrl-C and full disks in real child processes.

KILLS=200 python -m pytest tests/search/test_faults.py   is the long form (about ten minutes).
"""

import os
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

from search.record.runs import read_run

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "2"))
KILLS_A_RUN = 5
EPISODES = 120
OPTIONS = [
    "--optimizer", "random", "--scenario", "configs/scenarios/embedded-latency.yaml",
    "--space", "configs/spaces/embedded.yaml", "--evaluator", "surrogate",
    "--episodes", str(EPISODES), "--batch", "3", "--screen", "4", "--resume",
]  # fmt: skip


def start(out, *more, **options):
    command = [sys.executable, "-m", "search", "run", *OPTIONS, "--out", str(out), *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, **options)


def finish(child):
    out, err = child.communicate(timeout=120)
    return child.returncode, out.splitlines(), err


def wait_for_lines(child, count):
    return [child.stdout.readline() for _ in range(count)]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken") / "run"
    code, lines, err = finish(start(out))
    assert (code, err) == (0, "")
    assert len(lines) == EPISODES + 1
    return read_run(out).trials


def test_kill_9_at_random_moments_loses_nothing(tmp_path, unbroken, untimed):
    """The record is always a beginning of the unbroken run, and in the end it is that run."""
    moments = random.Random(0)
    for number in range(0, KILLS, KILLS_A_RUN):
        out = tmp_path / f"run{number}"
        for _ in range(min(KILLS_A_RUN, KILLS - number)):
            child = start(out)
            wait_for_lines(child, moments.choice([0, 2, 30]))
            time.sleep(moments.uniform(0, 0.3))
            child.send_signal(signal.SIGKILL)
            finish(child)
            if (out / "manifest.json").exists():
                kept = read_run(out).trials
                assert untimed(kept) == untimed(unbroken[: len(kept)])
        code, _, err = finish(start(out))
        assert (code, err) == (0, "")
        record = read_run(out)
        assert untimed(record.trials) == untimed(unbroken)
        assert record.manifest.status == "done"


def test_ctrl_c_keeps_everything_and_says_how_to_go_on(tmp_path, unbroken, untimed):
    out = tmp_path / "run"
    child = start(out)
    wait_for_lines(child, 3)
    child.send_signal(signal.SIGINT)
    code, _, err = finish(child)
    record = read_run(out)
    kept = len(record.trials)
    assert 3 <= kept < EPISODES
    assert code == 130
    said = f"{kept} of {EPISODES} episodes are recorded; go on with: python -m search run --resume"
    assert said in err
    assert "Traceback" not in err
    assert (record.manifest.status, record.manifest.stopped_by) == ("interrupted", "interrupt")
    assert untimed(record.trials) == untimed(unbroken[:kept])


def test_a_full_disk_ends_clearly_and_the_run_goes_on_later(tmp_path, unbroken, untimed):
    """A limit on the size of files stands in for the disk: the same write fails half way."""
    out, limit = tmp_path / "run", 20_000

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    code, _, err = finish(start(out, preexec_fn=limited))
    assert code == 1
    assert f"{out / 'trials.jsonl'}: File too large" in err
    assert "go on with: python -m search run --resume" in err
    data = (out / "trials.jsonl").read_bytes()
    assert data.endswith(b"\n")
    assert limit - 2000 < len(data) <= limit
    record = read_run(out)
    assert record.manifest.status == "failed"
    assert untimed(record.trials) == untimed(unbroken[: len(record.trials)])
    code, _, _ = finish(start(out))
    assert code == 0
    assert untimed(read_run(out).trials) == untimed(unbroken)
