"""One server for many runs: a sweep starts each local model once, and its runs find it.

A server takes most of a minute to start, and its batches serve runs side by side.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cim_sim.config import digest
from search.llm.model import ModelConfig
from search.llm.server import serving

SERVERS = "LCDA_FT_SERVERS"
"""Environment variable that the processes of a pool inherit: JSON, address by `_key`."""


@contextmanager
def shared(models: Iterable[ModelConfig], folder: Path) -> Iterator[None]:
    """Serve every local model among `models` as long as the context lasts, each once.

    Args:
        models: of all runs, as their configurations record them.
        folder: for the servers' logs.

    Raises:
        UsageError: a model is absent.
        SearchStopped: a server does not come up.
    """
    local = {_key(model): model for model in models if model.path}
    with ExitStack() as stack:
        addresses = {}
        for key, model in local.items():
            log = folder / f"server-{model.name}-{key}.log"
            addresses[key] = stack.enter_context(serving(model, log)).base_url
        os.environ[SERVERS] = json.dumps(addresses)
        stack.callback(os.environ.pop, SERVERS)
        yield


def address(model: ModelConfig) -> str | None:
    """Return where a model is served for this process; None: it has to be started."""
    addresses: dict[str, str] = json.loads(os.environ.get(SERVERS, "{}"))
    return addresses.get(_key(model))


def _key(model: ModelConfig) -> str:
    """Digest of what decides the server: sampling and patience are a matter of each request."""
    fields = {"name", "path", "adapter", "max_model_len", "concurrency", "server"}
    return digest(model.model_dump(mode="json", include=fields))
