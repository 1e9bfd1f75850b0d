"""From a model's configuration to a client that can ask it, and to its identity."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from cim_sim.config import UsageError
from search.llm.client import Client
from search.llm.endpoint import NO_KEY, Endpoint
from search.llm.examples import renderer_digest
from search.llm.model import (
    KEYLESS,
    ModelConfig,
    carries_key,
    directory_digest,
    require_present,
)
from search.llm.prompt import Style
from search.llm.scripted import Scripted
from search.llm.server import serving, start_command, vllm_version
from search.llm.sharing import address
from search.record.runs import SERVER_LOG
from search.record.trace import Exchange


@contextmanager
def connected(
    model: ModelConfig, directory: Path, recorded: Sequence[Exchange] = ()
) -> Iterator[Client]:
    """Yield a client of the model.

    A local model that no sweep serves already is served for as long as the context lasts.

    Args:
        model: whose client is made.
        directory: the server's log `server.log` goes there.
        recorded: exchanges that are answered from the record.

    Raises:
        UsageError: the model is absent, or no endpoint is named.
        SearchStopped: the server does not come up.
    """
    require_present(model)
    if model.script:
        yield Client(model, Scripted(model.script), recorded)
    elif url := address(model):
        with closing(Endpoint(url, NO_KEY, model.timeout_s)) as endpoint:
            yield Client(model, endpoint, recorded)
    elif model.path:
        with (
            serving(model, directory / SERVER_LOG) as server,
            closing(Endpoint(server.base_url, NO_KEY, model.timeout_s)) as endpoint,
        ):
            yield Client(model, endpoint, recorded, server.fault)
    else:
        key = key_of_environment()
        with closing(Endpoint(endpoint_of(model), key, model.timeout_s)) as endpoint:
            yield Client(model, endpoint, recorded)


def answered_by(model: ModelConfig) -> str:
    """Say who would answer requests: vLLM, by what command, an endpoint, or a script.

    Raises:
        UsageError: as `connected`, before anything is started.
    """
    require_present(model)
    if model.script:
        return f"answered by the script {model.script}"
    if model.path:
        return f"answered by vLLM, started with:\n  {start_command(model)}"
    return f"answered by {model.model} at {endpoint_of(model)}"


def key_of_environment() -> str:
    """Return the key of the endpoint, without blanks or a line end around it.

    Raises:
        UsageError: no header could carry it; it is not shown.
    """
    key = os.environ.get("OPENAI_API_KEY", NO_KEY).strip()
    if not (key and key.isascii() and key.isprintable()):
        raise UsageError("OPENAI_API_KEY is empty or holds characters that no key has: set it anew")
    return key


def endpoint_of(model: ModelConfig) -> str:
    """Return the address of a model that is served elsewhere.

    Raises:
        UsageError: none is given, since nothing leaves this machine unless it is named; or it
            holds a key.
    """
    base_url = model.base_url or os.environ.get("OPENAI_BASE_URL")
    if not base_url:
        raise UsageError(
            f"model {model.name}: which endpoint? give base_url, or set OPENAI_BASE_URL, "
            "as in http://127.0.0.1:8000/v1"
        )
    if carries_key(base_url):
        raise UsageError(f"OPENAI_BASE_URL {KEYLESS}")
    return base_url


def identity(model: ModelConfig, style: Style = "codesign") -> dict[str, Any]:
    """Return what a model is, beyond its configuration: two runs asked the same one if equal.

    Raises:
        UsageError: the model is absent, or no endpoint is named.
    """
    require_present(model)
    who: dict[str, Any] = {"name": model.name, "renderer": renderer_digest(style)}
    if model.script:
        return {**who, "script": sha256(model.script.read_bytes()).hexdigest()[:16]}
    if model.path is None:
        return {**who, "model": model.model, "base_url": endpoint_of(model)}
    return {**who, **weights_of(model), "server": vllm_version(), "dtype": model.server.dtype}


def weights_of(model: ModelConfig) -> dict[str, str | None]:
    """Return the digests of a model's weights; none of one that lies nowhere here (any more)."""
    if model.path is None or not model.path.is_dir():
        return {}
    adapter = directory_digest(model.adapter) if model.adapter else None
    return {"weights": directory_digest(model.path), "adapter": adapter}
