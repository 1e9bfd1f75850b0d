"""The reference evaluator: trains the network, writes it on random chips, tests each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from cim_sim.accuracy import cache as store
from cim_sim.accuracy.query import Accuracy, Query
from cim_sim.workers import Done, Executor, each

if TYPE_CHECKING:
    from cim_sim.accuracy.images import Split
    from cim_sim.accuracy.network import Network


def measure(query: Query, cache: Path | None = None) -> Accuracy:
    """Answer one query: from `cache` (a SQLite file) if it is there, else by training.

    The answer depends on the query alone, whatever ran before and however many processes work:
    every random stream is seeded from the query's keys and one thread computes. Bit for bit this
    holds for one machine type and one PyTorch build; between two CPUs rounding differs, and a GPU
    draws other batches and chips: keep a cache for each kind of device.

    Raises:
        UsageError: the data set is unknown or missing, or the cache cannot be used.
    """
    return measure_group([query], cache)[0]


def measure_group(queries: Sequence[Query], cache: Path | None = None) -> list[Accuracy]:
    """Answer queries that share one `training_key` with a single training."""
    found = [store.find(cache, query) if cache else None for query in queries]
    if None in found:
        with _one_thread():
            network = _network(queries[found.index(None)], cache)
            found = [
                answer or _tested(network, query, cache)
                for query, answer in zip(queries, found, strict=True)
            ]
    return [answer for answer in found if answer is not None]


def measure_many(
    queries: Sequence[Query], cache: Path | None = None, workers: int = 1
) -> list[Accuracy]:
    """Answer many queries in their order, on `workers` processes; equal to one by one."""
    groups: dict[str, list[int]] = {}
    for index, query in enumerate(queries):
        groups.setdefault(query.training_key, []).append(index)
    places = list(groups.values())
    answers: dict[int, Accuracy] = {}
    for number, results in measure_groups(
        [[queries[i] for i in p] for p in places], cache, workers
    ):
        answers.update(zip(places[number], results, strict=True))
    return [answers[index] for index in range(len(queries))]


def measure_groups(
    groups: Sequence[Sequence[Query]],
    cache: Path | None,
    workers: int,
    executor: Executor = "processes",
) -> Iterator[Done[list[Accuracy]]]:
    """Yield the answers of each group as the groups finish; one worker is this very process."""
    if executor == "processes" and min(workers, len(groups)) <= 1:
        return (Done(index, measure_group(group, cache)) for index, group in enumerate(groups))
    return each(measure_group, [(group, cache) for group in groups], workers, executor)


def _tested(network: "Network", query: Query, cache: Path | None) -> Accuracy:
    from cim_sim.accuracy import montecarlo

    answer = montecarlo.test(network, query, _data(query.dataset))
    if cache:
        store.store(cache, query, answer)
    return answer


def _network(query: Query, cache: Path | None) -> "Network":
    """The trained network of a query, from the cache or by training it now."""
    from cim_sim.accuracy import training

    split = _data(query.dataset)
    state = store.find_network(cache, query) if cache else None
    if state is not None:
        network = training.untrained(query, split)
        network.load_state_dict(state)
        network.eval().requires_grad_(False)
        return network
    network = training.train(query, split)
    if cache:
        store.store_network(cache, query, network.state_dict())
    return network


@lru_cache(maxsize=2)
def _data(name: str) -> "Split":
    """The data set on the device, images in the channels-last layout that convolutions prefer."""
    import torch

    from cim_sim.accuracy import images as data
    from cim_sim.accuracy import training

    split, where = data.load(name), training.device()

    def placed(part: data.Examples) -> data.Examples:
        images = part.images.to(device=where, memory_format=torch.channels_last)
        return data.Examples(images, part.labels.to(where))

    return split._replace(
        train=placed(split.train), selection=placed(split.selection), exam=placed(split.exam)
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread: sums are then taken in one order, and processes do not fight over cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
