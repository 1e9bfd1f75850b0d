"""The image sets by name, whole and in memory: `shapes`, `digits`, `cifar10`."""

import pickle
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cim_sim.accuracy import shapes
from cim_sim.config import UsageError

if TYPE_CHECKING:
    import torch

CIFAR10_HUB_ID = "uoft-cs/cifar10"
CIFAR10_MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)[:, None, None]
CIFAR10_STD = np.array([0.2470, 0.2435, 0.2616], np.float32)[:, None, None]
SHAPES_TRAIN, SHAPES_TEST = 4000, 1000
DIGITS_TEST = 397

KNOWN = """shapes, shapes-32 (procedural, 16x16 and 32x32), digits, digits-16 (scikit-learn, 8x8 \
and 16x16), cifar10 (downloads from the Hugging Face hub), cifar10:FOLDER (local copy of the \
python version)"""


class Split(NamedTuple):
    """One data set; images are float32 [count, channels, side, side], labels int64 [count]."""

    train_images: "torch.Tensor"
    train_labels: "torch.Tensor"
    test_images: "torch.Tensor"
    test_labels: "torch.Tensor"
    classes: int = 10


@lru_cache(maxsize=4)
def load(name: str) -> Split:
    """Return a data set by name; the same name gives the same tensors in every process.

    Raises:
        UsageError: the name is unknown, or its files are missing or not what they should be.
    """
    try:
        kind, _, place = known(name).partition(":")
    except ValueError as error:
        raise UsageError(f"dataset {error}") from None
    return _cifar10_files(Path(place)) if place else LOADERS[kind]()


def known(name: str) -> str:
    """Return the name of a data set, or raise ValueError with all names that there are."""
    kind, _, place = name.partition(":")
    if kind not in LOADERS or (place and kind != "cifar10"):
        raise ValueError(f"{name!r} is not known; choose from {KNOWN}")
    return name


def _split(*arrays: NDArray[Any]) -> Split:
    import torch

    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    return Split(*tensors)


def _shapes(side: int) -> Split:
    train = shapes.images(SHAPES_TRAIN, side, seed=1)
    return _split(*train, *shapes.images(SHAPES_TEST, side, seed=2))


def _digits(side: int) -> Split:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images[:, None] / 8 - 1).astype(np.float32)
    images = images.repeat(side // 8, axis=2).repeat(side // 8, axis=3)
    labels = bunch.target.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[DIGITS_TEST:], order[:DIGITS_TEST]
    return _split(images[train], labels[train], images[test], labels[test])


class _ArraysOnly(pickle.Unpickler):
    """Reads pickled dictionaries of NumPy arrays and refuses to name anything else."""

    ALLOWED = frozenset(
        {
            (module, name)
            for module in ("numpy.core.multiarray", "numpy._core.multiarray", "numpy")
            for name in ("_reconstruct", "ndarray", "dtype")
        }
        | {("_codecs", "encode")}
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"refused to load {module}.{name}")
        return super().find_class(module, name)


def _batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images uint8 [count, 3, 32, 32] and labels of one CIFAR-10 batch file."""
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="bytes").load()
        images = np.asarray(content[b"data"], np.uint8).reshape(-1, 3, 32, 32)
        return images, np.asarray(content[b"labels"], np.int64)
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}; expected the files data_batch_1 to data_batch_5 and "
            "test_batch of https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
        ) from None
    except Exception as error:  # a pickle can fail in any way; say which file and why
        raise UsageError(f"{path}: not a CIFAR-10 batch in the python format: {error}") from None


def _cifar10_files(folder: Path) -> Split:
    nested = folder / "cifar-10-batches-py"
    folder = nested if nested.is_dir() else folder
    batches = [_batch(folder / f"data_batch_{number}") for number in range(1, 6)]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    test_images, test_labels = _batch(folder / "test_batch")
    return _split(_standardised(images), labels, _standardised(test_images), test_labels)


def _cifar10_hub() -> Split:
    try:
        from datasets import load_dataset

        hub = load_dataset(CIFAR10_HUB_ID)
    except Exception as error:  # no library, no network, no such data set: one cure for all
        raise UsageError(
            f"dataset cifar10: cannot load {CIFAR10_HUB_ID} from the Hugging Face hub "
            f"({type(error).__name__}: {error!s:.200}); give a local copy as cifar10:FOLDER"
        ) from None
    parts: list[NDArray[Any]] = []
    for split in ("train", "test"):
        pictures = np.stack([np.asarray(picture) for picture in hub[split]["img"]])
        parts += [_standardised(pictures.transpose(0, 3, 1, 2)), np.asarray(hub[split]["label"])]
    return _split(*parts)


def _standardised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    scaled = images.astype(np.float32) / 255
    return ((scaled - CIFAR10_MEAN) / CIFAR10_STD).astype(np.float32)


LOADERS: dict[str, Callable[[], Split]] = {
    "shapes": lambda: _shapes(16),
    "shapes-32": lambda: _shapes(32),
    "digits": lambda: _digits(8),
    "digits-16": lambda: _digits(16),
    "cifar10": _cifar10_hub,
}
"""Data sets by name; `cifar10:FOLDER` is read from a local copy."""
