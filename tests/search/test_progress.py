"""What a person sees of a running sweep: a bar with the time left, or lines in a pipe."""

import io
import sys

import pytest
import rich

from search.progress import counted


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
    with counted(4) as step:
        for number in range(2):
            clock(step_s)
            step(f"run {number}")
    assert "2/4" in screen.getvalue()
    assert left in screen.getvalue()
    assert "run 1" in screen.getvalue()


def test_a_pipe_gets_plain_lines_and_not_too_many(capsys):
    with counted(200) as step:
        for number in range(200):
            step(f"run {number}")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 50
    assert lines[0] == "  4/200 runs, last run 3"
    assert lines[-1] == "200/200 runs, last run 199"
    assert not any("\033" in line for line in lines)
