"""Where things lie by default; relative to the folder in which a command is typed."""

from pathlib import Path

SHIPPED = Path(__file__).with_name("shipped")
"""Configurations and tables that travel inside the package; in a checkout, links to its own."""
ACCURACY_CACHE = Path("runs/accuracy.sqlite")
"""Trained accuracies, for all runs."""
EMBEDDED_SPACE = Path("configs/spaces/embedded.yaml")
BENCH_TABLE = Path("datasets/accuracy-bench/trainings.parquet")
"""The published table of trained networks; its card lies beside it."""
CONSTRAINTS = SHIPPED / "constraints.txt"
"""Versions of the one environment that is known to work."""


def readable(path: Path) -> Path:
    """Return where a file is read: in the working directory, or else the shipped one of its name.

    So `configs/spaces/embedded.yaml` is there in an empty directory too. Nothing is written there.
    """
    return SHIPPED / path if not path.exists() and (SHIPPED / path).exists() else path
