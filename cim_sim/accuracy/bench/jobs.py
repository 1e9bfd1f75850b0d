"""Which networks the benchmark table trains: one deterministic list, useful at any prefix."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice, product
from typing import NamedTuple

import numpy as np

from cim_sim.accuracy.query import Adc, Query, Recipe
from cim_sim.space import ConvChoice

Layers = tuple[ConvChoice, ...]

WIDTHS = (2, 4, 6, 8, 9, 12, 16, 24, 32)
KERNELS = (1, 3, 5, 7)
LEVELS = (0.0, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2)
"""Training noise, and the sigmas at which every network is tested."""
ADCS = tuple(Adc(levels=n, rows=r) for n, r in product((16, 32, 64, 128), (64, 128, 256)))

PROXY_SPACES = (
    ((4, 6, 8, 12, 16, 24, 32), KERNELS),
    ((4, 6, 8, 12, 16, 24, 32), KERNELS),
    ((6, 9, 12, 16), KERNELS),
    ((2, 4, 8, 16, 32), (3, 5, 7)),
    (WIDTHS, KERNELS),
)
"""Proxy widths and kernels of the spaces in use (`embedded` twice, `codesign`, `lcda`), and all."""

SINGLES, LEVELLED, PAIRED = 250, 100, 50
HEAD = 160
"""Singles that come first, at the training noises that searches ask for most."""


class Job(NamedTuple):
    """One training and the tests of its network; `origin` says why it is in the table."""

    origin: str
    queries: tuple[Query, ...]

    @property
    def key(self) -> str:
        """Identity of the training."""
        return self.queries[0].training_key


def jobs(seed: int = 0) -> list[Job]:
    """The whole list, each training once, in an order whose every prefix is a fair sample."""
    rng = np.random.default_rng([seed, 20230])
    singles = list(islice(distinct(rng), SINGLES + LEVELLED))
    singles, levelled = singles[:SINGLES], singles[SINGLES:]
    single = [
        job(rng, origin, layers, _level(rng, n < HEAD))
        for n, (origin, layers) in enumerate(singles)
    ]
    levels = [
        job(rng, "levels", layers, level)
        for _, layers in levelled
        for level in (0.0, 0.07, 0.1, float(rng.choice((0.03, 0.05, 0.15, 0.2))))
    ]
    pairs, longer = _pairs(rng, [layers for _, layers in levelled[:PAIRED]])
    ordered = [*single[:HEAD], *_interleaved([single[HEAD:], levels, pairs, longer])]
    first: dict[str, Job] = {}
    for one in ordered:
        first.setdefault(one.key, one)
    return [_with_adc(one, number) for number, one in enumerate(first.values())]


def fresh(count: int, seed: int) -> list[Query]:
    """Matched questions about networks that are not in the list, each at a random level."""
    known = {one.queries[0].layers for one in jobs()}
    rng = np.random.default_rng([seed, 20231])
    unseen = (layers for _, layers in distinct(rng) if layers not in known)
    levels = [level for level in LEVELS if level > 0]
    chosen = islice(unseen, count)
    return [job(rng, "", layers, float(rng.choice(levels))).queries[0] for layers in chosen]


def _pairs(rng: np.random.Generator, bases: Sequence[Layers]) -> tuple[list[Job], list[Job]]:
    """Two kernel swaps of each base, 3 seeds a side at .1 and one noise-free; and longer ones."""
    pairs, longer = [], []
    for number, base in enumerate(bases):
        swaps = [_swapped(rng, base, position) for position in rng.permutation(len(base))[:2]]
        for layers in (base, *swaps):
            pairs += [job(rng, "pair", layers, 0.1, seed=s) for s in range(3)]
            pairs += [job(rng, "pair", layers, 0.0)]
        if number % 2 == 0:
            longer += [
                job(rng, f"{epochs} epochs", layers, level, epochs=epochs)
                for epochs in (20, 40)
                for layers in (base, swaps[0])
                for level in (0.1, 0.0)
            ]
    return pairs, longer


def job(
    rng: np.random.Generator,
    origin: str,
    layers: Layers,
    level: float,
    *,
    seed: int = 0,
    epochs: int = 10,
) -> Job:
    """A training at noise `level`, tested there and at three other levels."""
    others = rng.permutation([sigma for sigma in LEVELS if sigma not in (level, 0.0)])[:3]
    queries = [
        Query(
            layers=layers,
            dataset="shapes",
            recipe=Recipe(epochs=epochs, draws=12),
            training_sigma=level,
            sigma=float(sigma),
            seed=seed,
        )
        for sigma in (level, *sorted(others))
    ]
    return Job(origin, tuple(queries))


def _with_adc(plain: Job, number: int) -> Job:
    """Every fourth job of the later part also meets two ADC settings, in turn."""
    if number < 250 or number % 4:
        return plain
    first = number // 4
    settings = (ADCS[(5 * first) % len(ADCS)], ADCS[(5 * first + 6) % len(ADCS)])
    extra = [plain.queries[0].model_copy(update={"adc": adc}) for adc in settings]
    return plain._replace(queries=(*plain.queries, *extra))


def _level(rng: np.random.Generator, head: bool) -> float:
    common = head and rng.random() < 0.85
    return float(rng.choice((0.05, 0.07, 0.1) if common else LEVELS))


def _interleaved(lists: Sequence[list[Job]]) -> Iterator[Job]:
    """Merge so that each list advances at its own even pace."""
    placed = [
        ((n + 1) / len(one), k, job) for k, one in enumerate(lists) for n, job in enumerate(one)
    ]
    return (entry for _, _, entry in sorted(placed, key=lambda item: item[:2]))


def distinct(rng: np.random.Generator) -> Iterator[tuple[str, Layers]]:
    """Endless different designs: half random, half structured, in turn."""
    seen: set[Layers] = set()
    makers = (_random, _good, _random, _uniform, _random, _sloped, _random, _pointwise)
    for maker in cycle(makers):
        layers = maker(rng)
        if layers not in seen:
            seen.add(layers)
            yield maker.__name__.strip("_"), layers


def _space(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return PROXY_SPACES[int(rng.integers(len(PROXY_SPACES)))]


def _layers(widths: Iterable[int], kernels: Iterable[int]) -> Layers:
    return tuple(ConvChoice(int(w), int(k)) for w, k in zip(widths, kernels, strict=True))


def _random(rng: np.random.Generator) -> Layers:
    widths, kernels = _space(rng)
    return _layers(rng.choice(widths, 6), rng.choice(kernels, 6))


def _good(rng: np.random.Generator) -> Layers:
    """What designers would draw: widths grow, kernels of 3 and 5 with one odd one out."""
    widths, kernels = _space(rng)
    chosen = rng.choice((3, 5), 6, p=(0.65, 0.35))
    chosen[rng.integers(6)] = rng.choice(kernels)
    return _layers(np.sort(rng.choice(widths[1:], 6)), chosen)


def _uniform(rng: np.random.Generator) -> Layers:
    widths, kernels = _space(rng)
    channels = np.sort(rng.choice(widths, 6)) if rng.random() < 0.5 else [rng.choice(widths)] * 6
    return _layers(channels, [rng.choice(kernels)] * 6)


def _sloped(rng: np.random.Generator) -> Layers:
    """Widths that grow or shrink, kernels that do so too or are free."""
    widths, kernels = _space(rng)
    channels, sizes = np.sort(rng.choice(widths, 6)), rng.choice(kernels, 6)
    if rng.random() < 0.5:
        sizes = np.sort(sizes)
    channels = channels if rng.random() < 0.5 else channels[::-1]
    return _layers(channels, sizes if rng.random() < 0.5 else sizes[::-1])


def _pointwise(rng: np.random.Generator) -> Layers:
    """Mostly 1x1 kernels: what a surrogate fitted to random designs overrates."""
    widths, kernels = _space(rng)
    share = rng.choice((0.5, 0.7, 0.9))
    return _layers(
        rng.choice(widths, 6), np.where(rng.random(6) < share, 1, rng.choice(kernels, 6))
    )


def _swapped(rng: np.random.Generator, base: Layers, position: int) -> Layers:
    """The same network with another kernel in one layer."""
    others = [kernel for kernel in KERNELS if kernel != base[position].kernel]
    weights = np.array([0.4 if kernel == 1 else 1.0 for kernel in others])
    kernel = int(rng.choice(others, p=weights / weights.sum()))
    changed = list(base)
    changed[position] = ConvChoice(base[position].channels, kernel)
    return tuple(changed)
