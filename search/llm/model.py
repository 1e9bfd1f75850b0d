"""Which language model proposes, how it is sampled, and where it runs: configs/models/*.yaml."""

from hashlib import file_digest, sha256
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from cim_sim.config import Config, UsageError
from search.llm.precision import Dtype
from search.record.adapter import MANIFEST, ROUND_TRIP

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
KEYLESS = "is recorded: leave out name, password and parameters, and set OPENAI_API_KEY instead"
"""Said of an address that may hold a key."""


class Sampling(Config):
    """Every field goes into every request: no server's defaults apply."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 256


class ServerSettings(Config):
    """How vLLM serves a local model as a child process."""

    port: Port | None = None
    """On 127.0.0.1; None takes a free one."""
    ready_s: Seconds = 180.0
    """Patience until the model answers."""
    enforce_eager: bool = True
    """No compilation: starts in half the time; set false for long runs on a GPU."""
    dtype: Dtype | None = None
    """Of weights and activations; None: the faster one here, which a run's config.yaml records."""
    kv_cache_bytes: Annotated[int, Field(ge=1)] | None = None
    """None: vLLM's own choice, most of the GPU's or several GB of main memory."""
    arguments: tuple[str, ...] = ()
    """Further arguments of vLLM's server, as on its command line."""

    @model_validator(mode="after")
    def _dtype_is_recorded(self) -> Self:
        if any(word.startswith("--dtype") for word in self.arguments):
            raise ValueError("give --dtype as server.dtype: arms of a comparison must share it")
        if any(word.startswith("--api-key") for word in self.arguments):
            raise ValueError(
                "leave --api-key out: it would be recorded, and a local server has none"
            )
        return self


class ModelConfig(Config):
    """A language model: a local directory served by vLLM, an endpoint, or a script for tests."""

    name: str
    path: Path | None = None
    """Directory of a model in Hugging Face layout; vLLM serves it for the time of the run."""
    adapter: Path | None = None
    """Directory of a LoRA adapter (PEFT) that is served on top of `path`."""
    made_by: str | None = None
    """The command that makes `path`, told when it is absent."""
    model: str | None = None
    """Name of a model at an OpenAI-compatible endpoint."""
    base_url: str | None = None
    """The endpoint, as in http://127.0.0.1:8000/v1; None takes OPENAI_BASE_URL."""
    script: Path | None = None
    """Text file with one reply a line; the request's seed chooses. For tests without a model."""
    sampling: Sampling = Sampling()
    max_model_len: Annotated[int, Field(ge=1)] = 8192
    """Tokens of prompt and reply together."""
    concurrency: Annotated[int, Field(ge=1)] = 8
    """Requests under way at once."""
    timeout_s: Seconds = 120.0
    """Of one request."""
    tries: Annotated[int, Field(ge=1)] = 5
    """How often a request is sent while the server is busy, failing or silent."""
    pause_s: Seconds = 1.0
    """Before the second try; doubles each time."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of a request, as in chat_template_kwargs: {enable_thinking: false}."""
    server: ServerSettings = ServerSettings()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.path, self.model, self.script)) != 1:
            raise ValueError(
                "give exactly one of path (a directory that vLLM serves), model (a name at an "
                "endpoint) and script"
            )
        if self.adapter and not self.path:
            raise ValueError("adapter goes with path: it is served on top of that model")
        if self.base_url and not self.model:
            raise ValueError("base_url goes with model: the name of a model at that endpoint")
        if self.base_url and carries_key(self.base_url):
            raise ValueError(f"base_url {KEYLESS}")
        return self

    @property
    def request_name(self) -> str:
        """What a request calls the model."""
        return self.model or self.name


def carries_key(base_url: str) -> bool:
    """Whether an address may hold a secret: before the host, or as a parameter."""
    parts = urlsplit(base_url)
    return parts.username is not None or bool(parts.query)


def require_present(model: ModelConfig) -> None:
    """Raise UsageError when a file that the model consists of is absent."""
    hint = f"; make it with: {model.made_by}" if model.made_by else ""
    if model.path and not (model.path / "config.json").is_file():
        raise UsageError(f"model {model.name}: {model.path} holds no model (config.json){hint}")
    if model.adapter and not (model.adapter / "adapter_config.json").is_file():
        raise UsageError(
            f"model {model.name}: {model.adapter} holds no adapter (adapter_config.json){hint}"
        )
    if model.script and not model.script.is_file():
        raise UsageError(f"model {model.name}: script {model.script} does not exist")


def directory_digest(path: Path) -> str:
    """Digest of a model or adapter: names and contents of its own files, not the records of it.

    Reads the weights once, which the server is about to do anyway.
    """
    whole = sha256()
    own = (".json", ".jinja", ".safetensors", ".txt", ".model", ".gguf", ".pt", ".pth")
    older = ("pytorch_model", "adapter_model")  # in .bin, as the record of a Trainer is
    for file in sorted(path.iterdir()):
        counts = file.suffix in own or file.name.startswith(older)
        if file.is_file() and counts and file.name not in (MANIFEST, ROUND_TRIP):
            with file.open("rb") as stream:
                content = file_digest(stream, "sha256").digest()
            whole.update(file.name.encode() + b"\0" + content)
    return whole.hexdigest()[:16]
