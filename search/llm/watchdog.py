"""Runs a command for as long as its parent lives, then stops the command's whole process group.

    python -I watchdog.py COMMAND ...

The parent holds the other end of standard input: closing it is the order to stop, and the kernel
closes it when the parent dies, `kill -9` included. A copy of that end in some other process would
hide this, so the parent's process id is watched too.
"""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

LOOK_S = 0.25
STEPS = ((signal.SIGINT, 10.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
"""Signal to the group, and the time the command gets to end."""


def main(command: list[str]) -> int:
    """Run `command` and return its exit code."""
    parent = os.getppid()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.SIG_IGN)
    while child.poll() is None and os.getppid() == parent:
        if select.select([sys.stdin], [], [], LOOK_S)[0]:
            break
    stop(child)
    return child.returncode


def stop(child: "subprocess.Popen[bytes]") -> None:
    """End the command politely, then firmly; nothing of its group is left."""
    for sign, patience in STEPS:
        if child.poll() is not None:
            break
        _signal_group(child.pid, sign)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    _signal_group(child.pid, signal.SIGKILL)


def _signal_group(group: int, sign: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, sign)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
