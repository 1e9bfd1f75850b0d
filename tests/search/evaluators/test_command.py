"""A command as an evaluator, in real processes."""

import os
import shlex
import signal
import sys
import time
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest

from cim_sim.config import UsageError
from search.evaluators import command
from search.evaluators.command import CommandFailed, require_program, words_of
from search.proposal import SearchStopped

ANSWERS = """\
question = json.load(sys.stdin)
tile = question["design"]["tile"]
if "--free" in sys.argv:
    print(json.dumps({"infeasible": f"tile {tile} is too large"} if tile > 12 else {}))
    sys.exit()
print("simulating ...")
slow = question["facts"]["rows"] * tile + question["seed"]
print(json.dumps({"reward": tile / 16, "measured": {"cycles": slow}}))
"""
QUESTION = {"design": {"tile": 4}, "facts": {"rows": 64}, "seed": 1}
answer_of = partial(command.answer_of, stopped=Event())


@pytest.fixture
def program(tmp_path):
    """Write a program of some lines, and return the words that start it."""

    def write(lines, name="my sim.py"):
        (tmp_path / name).write_text(f"import json, os, sys, time\n{lines}")
        return [sys.executable, str(tmp_path / name)]

    return write


def test_the_last_line_is_the_answer(program):
    found = answer_of(program(ANSWERS), QUESTION, timeout_s=60, retries=0)
    assert found == {"reward": 0.25, "measured": {"cycles": 257}}


def test_of_a_long_log_the_end_is_read(program):
    long = "print('é' * 10**6); print('x' * 10**6, file=sys.stderr)\n"
    words = program(f"{long}print()\n{ANSWERS}")
    assert answer_of(words, QUESTION, timeout_s=60, retries=0)["reward"] == 0.25
    with pytest.raises(CommandFailed, match=r"stdout is no JSON: '.é{399}'"):
        answer_of(program(long), QUESTION, timeout_s=60, retries=0)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("print('no' * 9, file=sys.stderr); sys.exit(3)", "exit code 3; stderr ends: (no){9}$"),
        ("sys.exit(3)", "exit code 3; stderr ends: nothing"),
        ("raise ValueError('x' * 900 + 'end')", "exit code 1; stderr ends: x{397}end$"),
        ("os.kill(os.getpid(), 9)", "exit code -9"),
        ("print('done')", "the last line of stdout is no JSON: 'done'"),
        ("pass", "the last line of stdout is no JSON: ''"),
    ],
)
def test_a_crash_says_how_the_program_ended(program, lines, message):
    with pytest.raises(CommandFailed, match=message):
        answer_of(program(lines), QUESTION, timeout_s=60, retries=0)


def test_a_crash_is_retried(program, tmp_path):
    lines = f"log = open({str(tmp_path / 'log')!r}, 'a'); log.write('x'); log.close()\n"
    lines += f"sys.exit(os.path.getsize({str(tmp_path / 'log')!r}) < 3)" + "\n"
    words = program(lines.replace("sys.exit(", "print('{\"reward\": 1}'); sys.exit("))
    assert answer_of(words, QUESTION, timeout_s=60, retries=2) == {"reward": 1}
    assert (tmp_path / "log").read_text() == "xxx"
    (tmp_path / "log").unlink()
    with pytest.raises(CommandFailed, match="exit code 1"):
        answer_of(words, QUESTION, timeout_s=60, retries=1)


def test_a_timeout_ends_the_program_and_its_children(program, tmp_path):
    lines = "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\n"
    lines += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\ntime.sleep(60)\n"
    with pytest.raises(TimeoutError, match="no answer within 2 s"):
        answer_of(program(lines), QUESTION, timeout_s=2, retries=0)
    child = int((tmp_path / "pid").read_text())
    assert _ended(child)


def _ended(pid, patience_s=10):
    """Whether a process is gone, or waits only for its parent to take note."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_ends_programs_that_run_side_by_side(own, program, tmp_path):
    """Each would sleep ten minutes, and be tried again; what is cancelled does not begin."""
    lines = f"open(f'{tmp_path}/{{os.getpid()}}.pid', 'w').close()\ntime.sleep(600)\n"
    evaluator = {"command": shlex.join(program(lines)), "timeout_s": 900, "retries": 3}

    def interrupt():
        while len(list(tmp_path.glob("*.pid"))) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        own(tmp_path / "run", batch=4, episodes=8, evaluator=evaluator, workers=2)
    begun = [int(file.stem) for file in tmp_path.glob("*.pid")]
    assert len(begun) == 2
    assert all(map(_ended, begun))
    with pytest.raises(CommandFailed, match="stopped before it began"):
        command.answer_of(["true"], {}, timeout_s=1, retries=2, stopped=_set())


def _set():
    event = Event()
    event.set()
    return event


def test_a_program_that_is_not_there_is_one_clear_error():
    with pytest.raises(UsageError, match=r"command ./no_sim --json: no program ./no_sim is there"):
        require_program(words_of("./no_sim --json"))
    with pytest.raises(UsageError, match=r"evaluator: command ./sim 'x: No closing quotation"):
        words_of("./sim 'x")


def test_a_search_by_command_screens_measures_and_records_crashes(own, program, tmp_path):
    """One word in another's place: a path with a blank in it is quoted, as in a shell."""
    crash = "question = json.load(sys.stdin)\ntile = question['design']['tile']\n"
    crash += "if tile == 9: sys.exit('tile nine is broken')\n"
    answers = ANSWERS.replace("question = json.load(sys.stdin)\n", crash, 1)
    command = shlex.join(program(answers))
    evaluator = {"command": command, "screen": "--free", "timeout_s": 60}
    trials = own(tmp_path / "run", episodes=16, screen=4, batch=4, seed=2, evaluator=evaluator)
    assert all(trial.design.named["tile"] <= 12 for trial in trials)
    failed = {trial.design.named["tile"]: trial.failure for trial in trials if trial.failure}
    assert failed.keys() == {9}
    assert failed[9].kind == "crash"
    assert failed[9].message == "CommandFailed: exit code 1; stderr ends: tile nine is broken"
    measured = [one.evaluation for one in trials if one.feasible]
    assert measured
    assert all(one.measured["cycles"] == 64 * one.design.named["tile"] for one in measured)


def test_commands_side_by_side_find_what_one_after_the_other_finds(own, program, tmp_path, untimed):
    evaluator = {"command": shlex.join(program(ANSWERS))}
    alone = own(tmp_path / "alone", batch=4, episodes=8, evaluator=evaluator)
    beside = own(tmp_path / "beside", batch=4, episodes=8, evaluator=evaluator, workers=4)
    assert untimed(beside) == untimed(alone)


def test_a_timeout_is_the_failure_of_its_trial_alone(own, program, tmp_path):
    slow = ANSWERS.replace('print("simulating ...")', "time.sleep(60 * (tile > 8))")
    evaluator = {"command": shlex.join(program(slow)), "timeout_s": 3}
    trials = own(tmp_path / "run", episodes=3, evaluator=evaluator, seed=1)
    kinds = {
        trial.design.named["tile"] > 8: trial.failure and trial.failure.kind for trial in trials
    }
    assert kinds == {True: "timeout", False: None}


def test_ten_crashes_end_the_search_with_what_was_said(own, program, tmp_path):
    command = shlex.join(program("sys.exit('no licence')"))
    with pytest.raises(SearchStopped, match=r"10 failures in a row; .*stderr ends: no licence"):
        own(tmp_path / "run", evaluator={"command": command})
