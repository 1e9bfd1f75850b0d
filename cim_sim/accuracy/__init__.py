"""Accuracy of a network under device variation. Knows no scenario, so its results serve all."""

from cim_sim.accuracy.query import Accuracy, Adc, Query, Recipe

__all__ = ["Accuracy", "Adc", "Query", "Recipe"]
