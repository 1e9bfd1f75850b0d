"""What every test may rely on."""

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_children():
    """A shell ignores SIGINT in what it starts in the background, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
