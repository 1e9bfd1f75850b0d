"""`python -m cim_sim VERB`: evaluate designs, and everything that proves the evaluator right."""

import sys

from cim_sim import cli
from cim_sim.commands import (
    accuracy,
    bench,
    bench_accuracy,
    compare_noise,
    cost,
    evaluate,
    explain,
    kernels,
    surrogate,
    validate,
)


def main() -> int:
    """Run the verb named on the command line."""
    verbs: dict[str, cli.Verb] = {
        "evaluate": evaluate.evaluate,
        "cost": cost.cost,
        "explain": explain.explain,
        "kernels": kernels.kernels,
        "validate": validate.validate,
        "bench": bench.bench,
        "accuracy": accuracy.accuracy,
        "bench-accuracy": bench_accuracy.bench_accuracy,
        "surrogate": surrogate.surrogate,
        "compare-noise": compare_noise.compare_noise,
    }
    return cli.run("python -m cim_sim", "Evaluate a CNN on a compute-in-memory accelerator.", verbs)


if __name__ == "__main__":
    sys.exit(main())
