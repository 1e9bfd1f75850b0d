"""The verb `accuracy`: train one design's network and test it."""

from pathlib import Path

from cim_sim import cli
from cim_sim.config import load
from cim_sim.paths import ACCURACY_CACHE


def accuracy(
    design: str,
    scenario: Path,
    space: Path,
    seed: cli.Natural = 0,
    cache: Path = ACCURACY_CACHE,
) -> int:
    """Train a design's proxy network and test it under the scenario's device variation.

    Args:
        design: the design as JSON, as in '[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]'.
        scenario: YAML file; its variation, recipe and ADC setting count, its objective does not.
        space: YAML file; says how much narrower the trained network is.
        seed: seed of initial weights, order, training noise and the tested chips.
        cache: SQLite file of trained accuracies.
    """
    from cim_sim.accuracy.trained import measure
    from cim_sim.scenario import Scenario
    from cim_sim.space import Space, parse_design

    chosen, problem = parse_design(design, "--design"), load(scenario, Scenario)
    choices = load(space, Space)
    problem.require_fits(choices)
    choices.require(chosen)
    query = problem.query(chosen, choices, seed)
    answer = measure(query, cache)
    print(f"network      {[list(layer) for layer in query.layers]} on {query.dataset}")
    print(
        f"trained at   sigma {query.training_sigma:.4g}, {query.recipe.epochs} epochs, seed {seed}"
    )
    print(f"clean        {answer.clean:.4f}")
    print(
        f"noisy        {answer.mean:.4f} +- {answer.standard_error:.4f} at sigma {query.sigma:.4g} "
        f"({answer.draws} draws of standard deviation {answer.std:.4f})"
    )
    print(f"worst tenth  {answer.quantile_10:.4f}")
    cli.emit(
        **answer.model_dump(exclude={"predictive_std"}),
        standard_error=answer.standard_error,
        sigma=query.sigma,
        training_sigma=query.training_sigma,
        key=query.key,
    )
    return 0
