"""What every test may rely on."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")

TESTS = Path(__file__).parent
FINETUNE = TESTS / "finetune"


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """Say what stays on one worker of pytest-xdist (`--dist loadgroup`).

    Servers and kills, of which one at a time is measured; the tests of a file, for its fixtures;
    and those of `finetune`, whose fixtures (a base model, traces, an adapter) take the longest.
    """
    for item in items:
        alone = item.get_closest_marker("vllm") or item.get_closest_marker("kill")
        folder = FINETUNE if FINETUNE in item.path.parents else item.path
        group = "alone" if alone else str(folder.relative_to(TESTS))
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_children():
    """A shell ignores SIGINT in what it starts in the background, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
