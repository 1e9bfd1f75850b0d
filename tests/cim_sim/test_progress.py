"""What a person sees of long work: a bar or plain lines, both with the time left."""

import io
import sys

import pytest
import rich

from cim_sim.progress import counted


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when a test says so, in seconds."""
    now = [0.0]
    monkeypatch.setattr(rich.get_console(), "get_time", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


@pytest.mark.parametrize(("step_s", "left"), [(2, "0:00:04"), (300, "0:10:00")])
def test_a_terminal_shows_the_time_left_even_where_steps_are_long(monkeypatch, clock, step_s, left):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with counted("runs", 4) as step:
        for number in range(2):
            clock(step_s)
            step(f"run {number}")
    assert "2/4" in screen.getvalue()
    assert left in screen.getvalue()
    assert "run 1" in screen.getvalue()


@pytest.mark.parametrize("done", [0, 2])
def test_a_pipe_gets_the_time_left_too(capsys, clock, done):
    """Known from the second step on; what was done before says nothing of it."""
    with counted("runs", done + 4, done) as step:
        for number in range(4):
            clock(300)
            step(f"run {number}")
    assert capsys.readouterr().out.splitlines() == [
        f"{done + 1}/{done + 4}, -:--:-- left, last of the runs: run 0",
        f"{done + 2}/{done + 4}, 0:10:00 left, last of the runs: run 1",
        f"{done + 3}/{done + 4}, 0:05:00 left, last of the runs: run 2",
        f"{done + 4}/{done + 4}, 0:00:00 left, last of the runs: run 3",
    ]


def test_a_pipe_gets_plain_lines_and_not_too_many(capsys, clock):
    with counted("runs", 200) as step:
        for number in range(200):
            clock(2)
            step(f"run {number}")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 50
    assert lines[0] == "  4/200, 0:06:32 left, last of the runs: run 3"
    assert lines[-1] == "200/200, 0:00:00 left, last of the runs: run 199"
    assert not any("\033" in line for line in lines)
