"""`python -m cim_sim VERB`: evaluate designs, and everything that proves the evaluator right."""

import sys

from cim_sim import cli
from cim_sim.commands import accuracy, cost, evaluate, peers


def main() -> int:
    """Run the verb named on the command line."""
    verbs: dict[str, cli.Verb] = {
        "evaluate": evaluate.evaluate,
        "cost": cost.cost,
        "explain": cost.explain,
        "sweep": cost.sweep,
        "validate": cost.validate,
        "bench": cost.bench,
        "accuracy": accuracy.accuracy,
        "bench-accuracy": accuracy.bench_accuracy,
        "surrogate": accuracy.surrogate,
        "compare-noise": peers.compare_noise,
    }
    return cli.run("python -m cim_sim", "Evaluate a CNN on a compute-in-memory accelerator.", verbs)


if __name__ == "__main__":
    sys.exit(main())
