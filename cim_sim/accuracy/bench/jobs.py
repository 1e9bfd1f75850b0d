"""Which networks the benchmark table trains: one deterministic list, useful at any prefix."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice, product
from typing import NamedTuple

import numpy as np

from cim_sim.accuracy.query import Adc, Query, Recipe
from cim_sim.space import ConvChoice

Layers = tuple[ConvChoice, ...]
Choices = tuple[int, ...]

WIDTHS = (2, 4, 6, 8, 9, 12, 16, 24, 32)
KERNELS = (1, 3, 5, 7)
LEVELS = (0.0, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2)
"""Training noise, and the sigmas at which networks are tested."""
ADC_LEVELS, ADC_ROWS = (16, 32, 64, 128), (64, 128, 256)
COMMON_ADC = Adc(levels=32, rows=128)
"""The paper's; networks that are trained with several seeds all meet it."""

PROXY_SPACES = (
    ((4, 6, 8, 12, 16, 24, 32), KERNELS),
    ((4, 6, 8, 12, 16, 24, 32), KERNELS),
    ((6, 9, 12, 16), KERNELS),
    ((2, 4, 8, 16, 32), (3, 5, 7)),
    (WIDTHS, KERNELS),
)
"""Proxy widths and kernels of the spaces in use (`embedded` twice, `codesign`, `lcda`), and all."""

SINGLES, LEVELLED, PAIRED, UNCLIPPED = 150, 30, 8, 4
DIGITS, DIGITS_AGAIN = 200, 25
"""Networks on `digits`, and how many of them are trained with three seeds."""
PAIR_LEVELS = (0.0, 0.1, 0.2)
SEEDS = 3


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
    named = list(islice(distinct(rng), SINGLES + LEVELLED + DIGITS))
    networks = iter(named)
    parts = [
        [job(origin, layers, _level(rng)) for origin, layers in islice(networks, SINGLES)],
        [
            job("levels", layers, level)
            for _, layers in islice(networks, LEVELLED)
            for level in (0.0, 0.07, 0.1, float(rng.choice((0.03, 0.05, 0.15, 0.2))))
        ],
        *_pairs(rng, [_good(rng, *_space(rng)) for _ in range(PAIRED)]),
        _on_digits(rng, [layers for _, layers in networks]),
    ]
    first: dict[str, Job] = {}
    for one in _interleaved(parts):
        first.setdefault(one.key, one)
    return [_with_tests(one, number) for number, one in enumerate(first.values())]


def fresh(count: int, seed: int, dataset: str = "shapes") -> list[Query]:
    """Matched questions about networks that are not in the list, each at a random level and ADC."""
    known = {one.queries[0].layers for one in jobs()}
    rng = np.random.default_rng([seed, 20231])
    unseen = (layers for _, layers in distinct(rng) if layers not in known)
    chosen = [job("", layers, _noisy(rng), dataset=dataset) for layers in islice(unseen, count)]
    return [
        one.queries[0].model_copy(update={"adc": adcs(number)[number % len(ADC_ROWS)]})
        for number, one in enumerate(chosen)
    ]


def _pairs(rng: np.random.Generator, bases: Sequence[Layers]) -> tuple[list[Job], list[Job]]:
    """Five networks around each base, in both pipelines with several seeds; some unclipped too."""
    clipped, unclipped = list[Job](), list[Job]()
    for number, base in enumerate(bases):
        networks = _grown(rng, base, smallest=1 if number % 4 == 3 else 3)
        repeats = list(product(networks, range(SEEDS), PAIR_LEVELS))
        clipped += [job("pair", layers, level, seed=one) for layers, one, level in repeats]
        if number < UNCLIPPED:
            unclipped += [
                job("unclipped pair", layers, level, seed=one, clip_rms=None)
                for layers, one, level in repeats
            ]
    return clipped, unclipped


def _grown(rng: np.random.Generator, base: Layers, smallest: int) -> list[Layers]:
    """A base; with one kernel larger in layers 1-2, in 3-4, in 5-6; with all three larger."""
    layers, larger = list(base), list(base)
    chosen = [place + int(rng.integers(2)) for place in (0, 2, 4)]
    for layer in chosen:
        channels = base[layer].channels
        layers[layer] = ConvChoice(channels, smallest)
        kernels = [kernel for kernel in KERNELS if kernel > smallest]
        larger[layer] = ConvChoice(channels, int(rng.choice(kernels)))
    single = [
        tuple(larger[n] if n == layer else one for n, one in enumerate(layers)) for layer in chosen
    ]
    every = tuple(larger[n] if n in chosen else one for n, one in enumerate(layers))
    return [tuple(layers), *single, every]


def _on_digits(rng: np.random.Generator, networks: Sequence[Layers]) -> list[Job]:
    """Networks on the second data set: some with three seeds at .1, the others at any level."""
    again = [
        job("digits", layers, 0.1, seed=one, dataset="digits")
        for layers in networks[:DIGITS_AGAIN]
        for one in range(SEEDS)
    ]
    once = [job("digits", one, _noisy(rng), dataset="digits") for one in networks[DIGITS_AGAIN:]]
    return list(_interleaved([again, once]))


def job(
    origin: str,
    layers: Layers,
    level: float,
    *,
    seed: int = 0,
    dataset: str = "shapes",
    clip_rms: float | None = Recipe().clip_rms,
) -> Job:
    """A training at noise `level`, tested there with ideal conversion."""
    query = Query(
        layers=layers,
        dataset=dataset,
        recipe=Recipe(draws=12, clip_rms=clip_rms),
        training_sigma=level,
        sigma=level,
        seed=seed,
    )
    return Job(origin, (query,))


def adcs(number: int) -> tuple[Adc, ...]:
    """ADC settings of the job of this number: each number of rows, with levels that take turns."""
    shift = 1 + number // len(ADC_LEVELS) % len(ADC_ROWS)
    return tuple(
        Adc(levels=ADC_LEVELS[(number + shift * place) % len(ADC_LEVELS)], rows=rows)
        for place, rows in enumerate(ADC_ROWS)
    )


def _with_tests(plain: Job, number: int) -> Job:
    """Add the tests under ADCs at the noise of the training, and those at other noise."""
    query = plain.queries[0]
    other = [sigma for sigma in LEVELS if sigma not in (query.sigma, 0.0)]
    sigmas: tuple[float, ...] = (other[number % len(other)],)
    settings = adcs(number)
    if "pair" in plain.origin:
        sigmas = PAIR_LEVELS[1:] if query.training_sigma == 0 else ()
        once = query.seed == 0 and query.recipe.clip_rms is not None
        settings = (COMMON_ADC, *((settings[0], settings[2]) if once else ()))
    elif query.dataset == "digits" and query.seed > 0:
        settings = (COMMON_ADC,)
    elif plain.origin == "digits" and query.training_sigma == 0.1:
        settings = (COMMON_ADC, settings[0], settings[2])
    others = (query.model_copy(update={"sigma": sigma}) for sigma in sigmas)
    return under(plain._replace(queries=(query, *others)), settings)


def under(plain: Job, settings: Iterable[Adc]) -> Job:
    """Add the tests of a job's network under ADC settings, at the noise of its training."""
    query = plain.queries[0]
    tests = (query.model_copy(update={"adc": adc}) for adc in settings)
    return plain._replace(queries=(*plain.queries, *tests))


def _level(rng: np.random.Generator) -> float:
    """Any level, more often one that searches ask for."""
    return float(rng.choice((0.05, 0.07, 0.1) if rng.random() < 0.5 else LEVELS))


def _noisy(rng: np.random.Generator) -> float:
    return float(rng.choice(LEVELS[1:]))


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
        layers = maker(rng, *_space(rng))
        if layers not in seen:
            seen.add(layers)
            yield maker.__name__.strip("_"), layers


def _space(rng: np.random.Generator) -> tuple[Choices, Choices]:
    return PROXY_SPACES[int(rng.integers(len(PROXY_SPACES)))]


def _layers(widths: Iterable[int], kernels: Iterable[int]) -> Layers:
    return tuple(ConvChoice(int(w), int(k)) for w, k in zip(widths, kernels, strict=True))


def _random(rng: np.random.Generator, widths: Choices, kernels: Choices) -> Layers:
    return _layers(rng.choice(widths, 6), rng.choice(kernels, 6))


def _good(rng: np.random.Generator, widths: Choices, kernels: Choices) -> Layers:
    """What designers would draw: widths grow, kernels of 3 and 5 with one odd one out."""
    chosen = rng.choice((3, 5), 6, p=(0.65, 0.35))
    chosen[rng.integers(6)] = rng.choice(kernels)
    return _layers(np.sort(rng.choice(widths[1:], 6)), chosen)


def _uniform(rng: np.random.Generator, widths: Choices, kernels: Choices) -> Layers:
    channels = np.sort(rng.choice(widths, 6)) if rng.random() < 0.5 else [rng.choice(widths)] * 6
    return _layers(channels, [rng.choice(kernels)] * 6)


def _sloped(rng: np.random.Generator, widths: Choices, kernels: Choices) -> Layers:
    """Widths that grow or shrink, kernels that do so too or are free."""
    channels, sizes = np.sort(rng.choice(widths, 6)), rng.choice(kernels, 6)
    if rng.random() < 0.5:
        sizes = np.sort(sizes)
    channels = channels if rng.random() < 0.5 else channels[::-1]
    return _layers(channels, sizes if rng.random() < 0.5 else sizes[::-1])


def _pointwise(rng: np.random.Generator, widths: Choices, kernels: Choices) -> Layers:
    """Mostly 1x1 kernels: what a surrogate fitted to random designs overrates."""
    share = rng.choice((0.5, 0.7, 0.9))
    return _layers(
        rng.choice(widths, 6), np.where(rng.random(6) < share, 1, rng.choice(kernels, 6))
    )
