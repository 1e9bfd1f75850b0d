"""Files that are whole or not there: texts, tables, journals; and one runner of a folder."""

import os
import resource
from contextlib import contextmanager

import pandas as pd
import pytest

from cim_sim.config import Config, UsageError
from cim_sim.files import Journal, locked, read, read_table, write_table, write_whole

TABLE = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


@contextmanager
def full_disk():
    """A limit on the size of files stands in for it: a write fails half way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_table_reads_back_equal_and_in_parts(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(path, TABLE)
    pd.testing.assert_frame_equal(read_table(path), TABLE)
    assert list(read_table(path, ["b"])) == ["b"]
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def test_a_full_disk_leaves_what_was_there(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(path, TABLE)
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        write_table(path, TABLE.head(1))
    assert caught.value.filename == str(path)
    assert len(read_table(path)) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


@pytest.mark.parametrize(
    ("columns", "content", "fault"),
    [
        (None, None, "No such file"),
        (None, b"torn", "not a Parquet table"),
        (["c"], TABLE.to_parquet(index=False), "not a Parquet table that can be read: .*c"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, columns, content, fault):
    path = tmp_path / "t.parquet"
    if content:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=rf"t\.parquet: {fault}"):
        read_table(path, columns)


def test_a_text_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "manifest.json"
    write_whole(path, "old")
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        write_whole(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]


def test_nothing_is_written_through_a_link(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text('{"number":1}\nsomething dear')
    run = tmp_path / "run"
    run.mkdir()
    (run / ".manifest.json.new").symlink_to(mine)
    write_whole(run / "manifest.json", "new")
    assert (run / "manifest.json").read_text() == "new"
    assert not (run / "manifest.json").is_symlink()
    (run / "marks.jsonl").symlink_to(mine)
    with pytest.raises(UsageError, match=r"marks\.jsonl: is a symbolic link, and is not written"):
        Journal(run / "marks.jsonl", Mark)
    assert mine.read_text() == '{"number":1}\nsomething dear'


def test_a_pipe_is_no_journal(tmp_path):
    os.mkfifo(tmp_path / "marks.jsonl")
    with pytest.raises(UsageError, match=r"marks\.jsonl: is not a regular file: restore"):
        read(tmp_path / "marks.jsonl", Mark)


class Mark(Config):
    number: int


def test_a_journal_drops_a_torn_line_and_names_a_damaged_one(tmp_path):
    path = tmp_path / "marks.jsonl"
    path.write_text('{"number":1}\n{"num')
    journal = Journal(path, Mark)
    journal.append(Mark(number=2))
    journal.close()
    assert path.read_text() == '{"number":1}\n{"number":2}\n'
    path.write_text('{"number":1}\n{"num\n{"number":3}\n')
    with pytest.raises(UsageError, match=r"marks\.jsonl:2: not a mark: .*: delete that line"):
        Journal(path, Mark, "delete that line")


def test_a_folder_has_one_runner(tmp_path):
    with locked(tmp_path), pytest.raises(UsageError, match="another process"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass
