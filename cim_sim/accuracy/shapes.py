"""The embedded image task: ten shapes, procedural, a second to make, never saturated.

Each image shows one shape of its class in a random colour on a random background, a little
turned, scaled and moved, with one smaller clutter object of any class and pixel noise.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Field = Callable[[Floats, Floats], Floats]

NOISE = 0.08
ROTATION = 0.2
CONTRAST = (0.7, 1.2)
RADIUS = (0.45, 0.7)
CLUTTER_RADIUS = (0.15, 0.28)


def _box(x: Floats, y: Floats, width: float, height: float) -> Floats:
    outside: Floats = np.maximum(np.abs(x) - width, np.abs(y) - height)
    return outside


def _triangle(x: Floats, y: Floats) -> Floats:
    outside: Floats = np.maximum(0.87 * np.abs(x) + 0.5 * y, -y - 0.3) - 0.45
    return outside


def _plus(x: Floats, y: Floats) -> Floats:
    outside: Floats = np.minimum(_box(x, y, 0.95, 0.28), _box(x, y, 0.28, 0.95))
    return outside


SHAPES: dict[str, Field] = {
    "disc": lambda x, y: np.hypot(x, y) - 0.9,
    "ring": lambda x, y: np.abs(np.hypot(x, y) - 0.72) - 0.2,
    "square": lambda x, y: _box(x, y, 0.78, 0.78),
    "frame": lambda x, y: np.abs(_box(x, y, 0.66, 0.66)) - 0.18,
    "triangle up": _triangle,
    "triangle down": lambda x, y: _triangle(x, -y),
    "plus": _plus,
    "saltire": lambda x, y: _plus((x + y) / 2**0.5, (x - y) / 2**0.5),
    "level bars": lambda x, y: _box(x, np.abs(y) - 0.55, 0.9, 0.24),
    "upright bars": lambda x, y: _box(np.abs(x) - 0.55, y, 0.24, 0.9),
}
"""Signed distance (negative inside) on the square [-1, 1]^2, in units of the shape's radius."""


def images(count: int, side: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw `count` images, float32 [count, 3, side, side] around zero, and int64 labels [count]."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(SHAPES)
    rng.shuffle(labels)
    base = rng.uniform(0.25, 0.75, (count, 3, 1, 1)).astype(np.float32)
    clutter = _masks(rng, rng.integers(len(SHAPES), size=count), side, CLUTTER_RADIUS, 0.75)
    target = _masks(rng, labels, side, RADIUS, 0.3)
    canvas = base + clutter * (_colours(rng, base) - base)
    canvas += target * (_colours(rng, base) - canvas)
    canvas += NOISE * rng.standard_normal(canvas.shape, dtype=np.float32)
    contrast = rng.uniform(*CONTRAST, (count, 1, 1, 1)).astype(np.float32)
    return ((canvas - 0.5) * contrast * 4).astype(np.float32), labels.astype(np.int64)


def _colours(rng: np.random.Generator, base: Floats) -> Floats:
    """Colours [count, 3, 1, 1] that differ from the background in one random direction."""
    direction = rng.standard_normal(base.shape).astype(np.float32)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return base + direction * rng.uniform(0.3, 0.6, (len(base), 1, 1, 1)).astype(np.float32)


def _masks(
    rng: np.random.Generator,
    labels: NDArray[np.int64],
    side: int,
    radii: tuple[float, float],
    reach: float,
) -> Floats:
    """Soft masks [count, 1, side, side] of shapes whose centres lie within `reach`."""
    count = len(labels)
    grid = (np.arange(side, dtype=np.float32) * 2 + 1) / side - 1
    radius = rng.uniform(*radii, (count, 1, 1)).astype(np.float32)
    angle = rng.uniform(-ROTATION, ROTATION, (count, 1, 1)).astype(np.float32)
    centre = rng.uniform(-reach, reach, (2, count, 1, 1)).astype(np.float32)
    x, y = (grid[None, None, :] - centre[0]) / radius, (grid[None, :, None] - centre[1]) / radius
    turned = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
    distance = np.empty((count, side, side), np.float32)
    for label, shape in enumerate(SHAPES.values()):
        chosen = labels == label
        distance[chosen] = shape(turned[0][chosen], turned[1][chosen])
    edge = distance * radius * side / 2
    return (np.clip(0.5 - edge, 0, 1)[:, None]).astype(np.float32)
