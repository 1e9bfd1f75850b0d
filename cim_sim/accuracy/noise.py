"""Weights as they are meant, and weights as one chip holds them."""

import torch
from torch import Tensor

from cim_sim.accuracy import quantise
from cim_sim.accuracy.query import Recipe
from cim_sim.variation import MIDDLE_STATE, StateDependence, state_factors


def intended(weight: Tensor, recipe: Recipe) -> Tensor:
    """The weight to be written: clipped and rounded as the recipe says; gradients pass."""
    if recipe.clip_rms is not None:
        limit = recipe.clip_rms * float(weight.detach().square().mean().sqrt())
        weight = weight.clamp(-limit, limit)
    return quantise.weights(weight, recipe.weight_bits) if recipe.weight_bits else weight


def largest(weight: Tensor, recipe: Recipe) -> Tensor:
    """w_max, the unit of all variation: of the layer, or of each output channel [out, 1, ...]."""
    if recipe.scale == "layer":
        return torch.linalg.vector_norm(weight, ord=float("inf"))
    rest = tuple(range(1, weight.dim()))
    return torch.linalg.vector_norm(weight, ord=float("inf"), dim=rest, keepdim=True)


def written(
    weight: Tensor,
    sigma: float,
    recipe: Recipe,
    generator: torch.Generator,
    state_dependence: StateDependence = "uniform",
) -> Tensor:
    """One programmed copy of `weight`: plus N(0, (sigma w_max)^2), noise detached."""
    if sigma == 0:
        return weight
    with torch.no_grad():
        top = largest(weight, recipe)
        noise = torch.empty_like(weight).normal_(generator=generator) * (sigma * top)
        if state_dependence != "uniform":
            noise *= _factors(weight / top, state_dependence)
    return weight + noise


def _factors(relative: Tensor, dependence: StateDependence) -> Tensor:
    """Multiplier of the noise for each weight, from |w| / w_max."""
    middle, outer = state_factors(dependence)
    low, high = MIDDLE_STATE
    inside = (relative.abs() > low) & (relative.abs() < high)
    return torch.where(inside, middle, outer)
