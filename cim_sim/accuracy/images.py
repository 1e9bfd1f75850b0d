"""The images themselves, whole and in memory: `shapes`, `digits`, `cifar10`."""

import pickle
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cim_sim.accuracy import shapes
from cim_sim.config import UsageError
from cim_sim.image_sets import image_set

if TYPE_CHECKING:
    import torch

CIFAR10_HUB_ID = "uoft-cs/cifar10"
CIFAR10_MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)[:, None, None]
CIFAR10_STD = np.array([0.2470, 0.2435, 0.2616], np.float32)[:, None, None]
SHAPES_TRAIN, SHAPES_TEST = 4000, 1000
DIGITS_SELECTION, DIGITS_EXAM = 397, 376


class Examples(NamedTuple):
    """Images float32 [count, channels, side, side] with labels int64 [count]."""

    images: "torch.Tensor"
    labels: "torch.Tensor"


class Split(NamedTuple):
    """One data set, in three parts that share no image."""

    train: Examples
    selection: Examples
    """What searches see."""
    exam: Examples
    """What only a re-training of their winners sees."""
    classes: int = 10


@lru_cache(maxsize=4)
def load(name: str) -> Split:
    """Return a data set by name; the same name gives the same tensors in every process.

    Raises:
        UsageError: the name is unknown, or its files are missing or not what they should be.
    """
    try:
        image_set(name)
    except ValueError as error:
        raise UsageError(f"dataset {error}") from None
    return LOADERS[name.partition(":")[0]](name)


def _examples(images: NDArray[Any], labels: NDArray[Any]) -> Examples:
    import torch

    return Examples(*(torch.from_numpy(np.ascontiguousarray(one)) for one in (images, labels)))


def _shapes(name: str) -> Split:
    side = image_set(name).side
    parts = ((SHAPES_TRAIN, 1), (SHAPES_TEST, 2), (SHAPES_TEST, 3))
    train, selection, exam = (_examples(*shapes.images(n, side, seed)) for n, seed in parts)
    return Split(train, selection, exam)


def _digits(name: str) -> Split:
    from sklearn.datasets import load_digits

    side = image_set(name).side
    bunch = load_digits()
    images = (bunch.images[:, None] / 8 - 1).astype(np.float32)
    images = images.repeat(side // 8, axis=2).repeat(side // 8, axis=3)
    labels = bunch.target.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    places = np.split(order, np.cumsum((DIGITS_SELECTION, DIGITS_EXAM)))
    selection, exam, train = (_examples(images[place], labels[place]) for place in places)
    return Split(train, selection, exam)


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


def _cifar10_of(name: str) -> Split:
    place = name.partition(":")[2]
    return _cifar10_files(Path(place)) if place else _cifar10_hub()


def _cifar10_files(folder: Path) -> Split:
    nested = folder / "cifar-10-batches-py"
    folder = nested if nested.is_dir() else folder
    batches = [_batch(folder / f"data_batch_{number}") for number in range(1, 6)]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return _cifar10(images, labels, *_batch(folder / "test_batch"))


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
        parts += [pictures.transpose(0, 3, 1, 2), np.asarray(hub[split]["label"])]
    return _cifar10(*parts)


def _cifar10(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    test_images: NDArray[np.uint8],
    test_labels: NDArray[np.int64],
) -> Split:
    """The official test images make both other parts, half each."""
    tests, half = _standardised(test_images), len(test_images) // 2
    return Split(
        _examples(_standardised(images), labels),
        _examples(tests[:half], test_labels[:half]),
        _examples(tests[half:], test_labels[half:]),
    )


def _standardised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    scaled = images.astype(np.float32) / 255
    return ((scaled - CIFAR10_MEAN) / CIFAR10_STD).astype(np.float32)


LOADERS: dict[str, Callable[[str], Split]] = {
    "shapes": _shapes,
    "shapes-32": _shapes,
    "digits": _digits,
    "digits-16": _digits,
    "cifar10": _cifar10_of,
}
"""What loads each image set, given the dataset's name; cifar10's may end with a folder."""
