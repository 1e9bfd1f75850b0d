"""Noise-injected training: each step trains one random chip, the noise itself has no gradient."""

import hashlib

import torch
from torch import Tensor
from torch.nn import functional

from cim_sim.accuracy import noise
from cim_sim.accuracy.images import Split
from cim_sim.accuracy.network import Network
from cim_sim.accuracy.query import Query, Recipe
from cim_sim.config import UsageError


def device() -> torch.device:
    """The GPU when there is one; the only place that chooses."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def stream(key: str, name: str, where: torch.device | None = None) -> torch.Generator:
    """A random stream of its own for each (key, name); what ran before does not matter."""
    seed = int.from_bytes(hashlib.sha256(f"{key}:{name}".encode()).digest()[:7])
    return torch.Generator(where or device()).manual_seed(seed)


def untrained(query: Query, split: Split) -> Network:
    """The initial network of a query; the same on every device.

    Raises:
        UsageError: more pools than the images of the data set can take.
    """
    generator = stream(query.training_key, "init", torch.device("cpu"))
    image = split.train.images.shape[1:]
    if image[1] < 2 ** len(query.pools_after):
        raise UsageError(
            f"dataset {query.dataset}: images of {image[1]}x{image[1]} cannot be halved "
            f"{len(query.pools_after)} times (workload.pools_after)"
        )
    network: Network = Network(
        query.layers,
        image,
        classes=split.classes,
        hidden=query.hidden,
        pools_after=query.pools_after,
        generator=generator,
    )
    network.to(device())
    return network


def train(query: Query, split: Split) -> Network:
    """Train the network of `query` on `split` (tensors on `device()`) and return it frozen."""
    network, recipe = untrained(query, split), query.recipe
    batches = max(1, len(split.train.images) // recipe.batch_size)
    parameters = list(network.parameters())
    optimiser = torch.optim.AdamW(
        parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    steps = batches * recipe.epochs
    # OneCycleLR divides by the warm-up's steps less one: of five steps a fifth is one.
    share = 0.2 if steps != 5 else 0.4
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=steps, pct_start=share
    )
    order = stream(query.training_key, "order")
    strays = stream(query.training_key, "noise")
    for _ in range(recipe.epochs):
        shuffled = torch.randperm(len(split.train.images), generator=order, device=device())
        for chosen in shuffled[: batches * recipe.batch_size].split(recipe.batch_size):
            images = split.train.images[chosen].contiguous(memory_format=torch.channels_last)
            weights = _trained_weights(network, query.training_sigma, recipe, strays)
            logits = network(images, weights, recipe.activation_bits)
            loss = functional.cross_entropy(
                logits, split.train.labels[chosen], label_smoothing=recipe.label_smoothing
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    network.eval().requires_grad_(False)
    return network


def _trained_weights(
    network: Network, sigma: float, recipe: Recipe, generator: torch.Generator
) -> list[Tensor]:
    return [
        noise.written(noise.intended(weight, recipe), sigma, generator)
        for weight in network.weights
    ]
