"""What every test may rely on."""

import signal

import pytest
from hypothesis import settings

settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")

TOGETHER = {
    "servers": ("tests/finetune/", "tests/search/llm/test_vllm.py"),
    "kills": (
        "tests/cim_sim/accuracy/test_bench.py",
        "tests/cim_sim/test_workers.py",
        "tests/search/llm/test_server.py",
        "tests/search/study/test_sweep.py",
        "tests/search/test_faults.py",
    ),
}
"""Files whose tests run one after the other, however many workers there are: at most one real vLLM
server at a time, and no kill beside another. The fixtures of `finetune` are dear besides."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hand whole files to the workers, so that a fixture of a file is made once.

    `--dist loadgroup` would be the ready-made way, but pytest-xdist 3.8 marks groups in a field
    that pytest 9.2 does not read any more.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            groups = (name for name, files in TOGETHER.items() if file.startswith(files))
            return next(groups, file)

    return Together(config, log)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_children():
    """A shell ignores SIGINT in what it starts in the background, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
