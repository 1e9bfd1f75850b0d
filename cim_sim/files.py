"""Append-only files of records, one line of JSON each, that survive a kill at any moment."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from cim_sim.config import Config, UsageError

RecordT = TypeVar("RecordT", bound=Config)


class Contents(NamedTuple, Generic[RecordT]):
    """What a journal holds, and how many of its bytes are whole lines."""

    records: list[RecordT]
    intact_bytes: int


def read(path: Path, kind: type[RecordT]) -> Contents[RecordT]:
    """Read all whole lines; a last line without its newline was torn by a kill and is left out.

    Raises:
        UsageError: another line is not a record; names the file and the line.
    """
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
                "the file was damaged or edited: restore it, or start the run in a new directory"
            ) from None
    return Contents(records, intact)


class Journal(Generic[RecordT]):
    """The only writer of one file. `records` holds what is on disk, in order."""

    def __init__(self, path: Path, kind: type[RecordT]) -> None:
        """Read what is there and cut off a torn last line.

        Raises:
            UsageError: a line other than the last is damaged.
            OSError: the file cannot be opened for writing.
        """
        self.path = path
        self.records, self._size = read(path, kind)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
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


def write_whole(path: Path, text: str) -> None:
    """Replace a file at once: a reader sees the old text or the new, never a part.

    Raises:
        OSError: it could not be written; the old file is still there.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
