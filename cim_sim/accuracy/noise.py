"""Weights as they are meant, and weights as one chip holds them."""

import torch
from torch import Tensor

from cim_sim.accuracy import quantise
from cim_sim.accuracy.query import Recipe
from cim_sim.variation import MIDDLE_STATE, StateDependence, state_factors


def intended(weight: Tensor, recipe: Recipe) -> Tensor:
    """The weight to be written: clipped and rounded as the recipe says.

    Gradients pass the rounding, and no clipped weight: outside the limit only weight decay acts
    on it, until the limit, which is a constant to the gradient, has moved past it.
    """
    if recipe.clip_rms is not None:
        limit = recipe.clip_rms * float(weight.detach().square().mean().sqrt())
        weight = weight.clamp(-limit, limit)
    return quantise.weights(weight, recipe.weight_bits) if recipe.weight_bits else weight


def largest(weight: Tensor) -> Tensor:
    """w_max of a layer, the unit of all variation: its largest weight spans half the range."""
    return torch.linalg.vector_norm(weight, ord=float("inf"))


def written(
    weight: Tensor,
    sigma: float,
    generator: torch.Generator,
    state_dependence: StateDependence = "uniform",
) -> Tensor:
    """One programmed copy of `weight`: plus N(0, (sigma w_max)^2), noise detached."""
    if sigma == 0:
        return weight
    with torch.no_grad():
        top = largest(weight)
        noise = torch.empty_like(weight).normal_(generator=generator) * (sigma * top)
        if state_dependence != "uniform":
            noise *= _factors(weight / top, state_dependence)
    return weight + noise


def _factors(relative: Tensor, dependence: StateDependence) -> Tensor:
    """Multiplier of the noise for each weight, given as w / w_max."""
    middle, outer = state_factors(dependence)
    low, high = MIDDLE_STATE
    conductance = (relative + 1) / 2  # offset-binary coding
    inside = (conductance > low) & (conductance < high)
    return torch.where(inside, middle, outer)
