"""Command line of the search: `python -m search VERB --help`."""

import sys

from cim_sim import cli
from search.commands.bench import bench
from search.commands.challenge import challenge
from search.commands.compare import compare
from search.commands.doctor import doctor
from search.commands.export import export
from search.commands.family import family
from search.commands.lookup_table import lookup_table
from search.commands.optimum import optimum
from search.commands.results import results
from search.commands.run import run
from search.commands.serve import serve
from search.commands.sweep import sweep
from search.commands.tune_baselines import tune_baselines
from search.commands.verify import verify


def main() -> int:
    """Run one verb and return its exit code."""
    return cli.run(
        "python -m search",
        "Search pairs of CNN and compute-in-memory accelerator, and compare searches.",
        {
            "run": run,
            "compare": compare,
            "serve": serve,
            "sweep": sweep,
            "optimum": optimum,
            "family": family,
            "lookup-table": lookup_table,
            "tune-baselines": tune_baselines,
            "verify": verify,
            "results": results,
            "challenge": challenge,
            "export": export,
            "bench": bench,
            "doctor": doctor,
        },
    )


if __name__ == "__main__":
    sys.exit(main())
