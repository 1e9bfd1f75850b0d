"""Tables on disk: read with a clear error, written whole or not at all."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cim_sim.config import UsageError

if TYPE_CHECKING:
    import pandas as pd


def read(path: Path, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Return the table in `path`, or some of its columns.

    Raises:
        UsageError: it is missing, damaged, or lacks a column.
    """
    import pandas as pd

    try:
        return pd.read_parquet(path, columns=list(columns) if columns else None)
    except FileNotFoundError:
        raise UsageError(f"{path}: No such file") from None
    except (OSError, ValueError) as error:  # pyarrow's errors are one or the other
        raise UsageError(f"{path}: not a Parquet table that can be read: {error!s:.200}") from None


def write(table: "pd.DataFrame", path: Path) -> None:
    """Write a table; a killed or failed write leaves what was there.

    Raises:
        OSError: disk full, for one.
    """
    part = path.with_suffix(".part")
    try:
        table.to_parquet(part, index=False, compression="zstd")
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    os.replace(part, path)
