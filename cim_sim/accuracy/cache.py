"""Answers and trained networks on disk: one SQLite file that several processes may share."""

import io
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cim_sim.accuracy.query import Accuracy, Query
from cim_sim.config import UsageError, canonical_json

if TYPE_CHECKING:
    from torch import Tensor

PATIENCE_SECONDS = 60.0
"""With other processes that hold the file."""
NETWORKS_KEPT = 200
"""Newest networks kept (about .7 MB each); answers are kept for ever."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, query TEXT, accuracy TEXT);
CREATE TABLE IF NOT EXISTS networks
    (id INTEGER PRIMARY KEY AUTOINCREMENT, training_key TEXT UNIQUE, arrays BLOB);
"""


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=PATIENCE_SECONDS)
    except (OSError, sqlite3.Error) as error:
        raise UsageError(f"accuracy cache {path}: {error}") from None
    try:
        _prepare(connection)
        with connection:
            yield connection
    except sqlite3.OperationalError as error:  # locked, read-only, no space: the file is sound
        raise UsageError(f"accuracy cache {path}: {error}") from None
    except sqlite3.DatabaseError as error:
        raise UsageError(f"accuracy cache {path}: {error}; move the file away") from None
    finally:
        connection.close()


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables. SQLite's own patience does not cover two processes that make one file."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(SCHEMA)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def find(path: Path, query: Query) -> Accuracy | None:
    """Return the stored answer of `query`, or None."""
    with _open(path) as connection:
        sql = "SELECT accuracy FROM answers WHERE key = ?"
        row = connection.execute(sql, (query.key,)).fetchone()
    return Accuracy.model_validate_json(row[0]) if row else None


def store(path: Path, query: Query, accuracy: Accuracy) -> None:
    """Keep an answer; the first one stored under a key stays."""
    record = (query.key, canonical_json(query), json.dumps(accuracy.model_dump()))
    with _open(path) as connection:
        connection.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", record)


def find_network(path: Path, query: Query) -> "dict[str, Tensor] | None":
    """Return the state of the network that `query` needs, or None if it is not kept (any more)."""
    import torch

    with _open(path) as connection:
        sql = "SELECT arrays FROM networks WHERE training_key = ?"
        row = connection.execute(sql, (query.training_key,)).fetchone()
    if row is None:
        return None
    with np.load(io.BytesIO(row[0]), allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def store_network(path: Path, query: Query, state: "dict[str, Tensor]") -> None:
    """Keep a trained network and drop the oldest beyond `NETWORKS_KEPT`."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: value.cpu().numpy() for name, value in state.items()})
    with _open(path) as connection:
        connection.execute(
            "INSERT OR IGNORE INTO networks (training_key, arrays) VALUES (?, ?)",
            (query.training_key, buffer.getvalue()),
        )
        connection.execute(
            "DELETE FROM networks WHERE id <= (SELECT max(id) FROM networks) - ?", (NETWORKS_KEPT,)
        )
