"""Files that stay whole, whatever kills the writer: journals, texts, tables, and their lock."""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from cim_sim.config import UsageError
from cim_sim.paths import readable

if TYPE_CHECKING:
    import pandas as pd

RecordT = TypeVar("RecordT", bound=BaseModel)

MEND = "restore the file, or start the run in a new directory"
"""Advice about a damaged journal."""


class Contents(NamedTuple, Generic[RecordT]):
    """What a journal holds, and how many of its bytes are whole lines."""

    records: list[RecordT]
    intact_bytes: int


def read(path: Path, kind: type[RecordT], mend: str = MEND) -> Contents[RecordT]:
    """Read all whole lines; a last line without its newline was torn by a kill and is left out.

    Raises:
        UsageError: another line is not a record; names the file and the line, and how to `mend` it;
            or it is no regular file: a pipe would never end.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: is not a regular file: {mend}")
    data = path.read_bytes() if path.exists() else b""
    intact = data.rfind(b"\n") + 1
    records = []
    for number, line in enumerate(data[:intact].split(b"\n")[:-1], start=1):
        try:
            records.append(kind.model_validate_json(line))
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(str(part) for part in fault["loc"])
            raise UsageError(
                f"{path}:{number}: not a {kind.__name__.lower()}: "
                f"{place}{': ' if place else ''}{fault['msg']}; "
                f"the file was damaged or edited: {mend}"
            ) from None
    return Contents(records, intact)


class Journal(Generic[RecordT]):
    """The only writer of a file of records, one line of JSON each, that is only ever added to.

    `records` holds what is on disk, in order.
    """

    def __init__(self, path: Path, kind: type[RecordT], mend: str = MEND) -> None:
        """Read what is there and cut off a torn last line.

        Raises:
            UsageError: a line other than the last is damaged, or the file is a symbolic link.
            OSError: the file cannot be opened for writing.
        """
        if path.is_symlink():  # what it leads to would be cut off where our records end
            raise UsageError(f"{path}: is a symbolic link, and is not written through: {mend}")
        self.path = path
        self.records, self._size = read(path, kind, mend)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        self._file = os.open(path, flags, 0o644)
        os.ftruncate(self._file, self._size)

    def append(self, record: RecordT) -> None:
        """Write one line and wait until it is on the disk.

        Raises:
            OSError: disk full, for one; what was written of the line is taken back.
        """
        line = record.model_dump_json().encode() + b"\n"
        try:
            self._write(line)
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        self._size += len(line)
        self.records.append(record)

    def close(self) -> None:
        """Release the file."""
        os.close(self._file)

    def _write(self, line: bytes) -> None:
        written = 0
        while written < len(line):
            written += os.write(self._file, line[written:])
        os.fsync(self._file)


def require_no_file(folder: Path) -> None:
    """Raise UsageError where a file lies in the place of a folder to be written."""
    if folder.is_file():
        raise UsageError(f"{folder}: is a file; name a directory")


def write_whole(path: Path, text: str) -> None:
    """Replace a file at once: a reader sees the old text or the new, never a part.

    Raises:
        OSError: it could not be written; the old file is still there.
    """
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Replace a Parquet table at once.

    Raises:
        OSError: as `write_whole`.
    """
    with replacing(path) as beside:
        table.to_parquet(beside, index=False, compression="zstd")


def read_table(path: Path, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Return a Parquet table, or some of its columns.

    Raises:
        UsageError: it is missing, damaged, or lacks a column.
    """
    import pandas as pd

    try:
        return pd.read_parquet(readable(path), columns=list(columns) if columns else None)
    except FileNotFoundError:
        raise UsageError(f"{path}: No such file") from None
    except (OSError, ValueError) as error:  # pyarrow's errors are one or the other
        raise UsageError(f"{path}: not a Parquet table that can be read: {error!s:.200}") from None


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Lend an empty folder, which takes the place of `path` once all is written into it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as scratch:
        part = Path(scratch) / path.name
        part.mkdir()
        yield part
        rmtree(path, ignore_errors=True)
        part.rename(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a directory alone; the lock goes with the process, however it ends.

    Raises:
        UsageError: another process holds it.
    """
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{folder}: another process is writing there") from None
        yield
    finally:
        os.close(held)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend a name beside `path`; the file written there takes its place once it is on the disk.

    Raises:
        OSError: it could not be written; the old file is still there.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.unlink(missing_ok=True)  # left by a kill; a link would be written through
        yield beside
        _sync(beside)
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
