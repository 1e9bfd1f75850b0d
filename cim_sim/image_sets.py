"""The image sets by name, with the shape of their images: one truth for both halves."""

from typing import NamedTuple


class ImageSet(NamedTuple):
    """Shape of the square images of a set, and how many classes they fall into."""

    channels: int
    side: int
    """Height and width in pixels."""
    classes: int
    about: str


IMAGE_SETS = {
    "shapes": ImageSet(3, 16, 10, "procedural"),
    "shapes-32": ImageSet(3, 32, 10, "the same, larger"),
    "digits": ImageSet(1, 8, 10, "scikit-learn"),
    "digits-16": ImageSet(1, 16, 10, "the same, each pixel four times"),
    "cifar10": ImageSet(3, 32, 10, "from the Hugging Face hub; cifar10:FOLDER: a local copy"),
}


def image_set(name: str) -> ImageSet:
    """Return the set of a dataset's name; what follows a colon in it is a folder.

    Raises:
        ValueError: there is none; names all.
    """
    kind = name.partition(":")[0]
    if kind not in IMAGE_SETS or kind not in (name, "cifar10"):
        raise ValueError(f"{name!r} is not known; choose from {_every()}")
    return IMAGE_SETS[kind]


def known(name: str) -> str:
    """Return the name of a dataset that there is, for the check of a configuration."""
    image_set(name)
    return name


def _every() -> str:
    return ", ".join(
        f"{name} ({one.channels}x{one.side}x{one.side}, {one.about})"
        for name, one in IMAGE_SETS.items()
    )
