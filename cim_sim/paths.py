"""Where things lie by default; relative to the folder in which a command is typed."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The checkout that this package is part of."""
ACCURACY_CACHE = Path("runs/accuracy.sqlite")
"""Trained accuracies, for all runs."""
EMBEDDED_SPACE = Path("configs/spaces/embedded.yaml")
BENCH_TABLE = Path("datasets/accuracy-bench/trainings.parquet")
"""The published table of trained networks; its card lies beside it."""
CONSTRAINTS = ROOT / "constraints.txt"
"""Versions of the one environment that is known to work."""
