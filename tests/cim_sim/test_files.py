"""Tables that are whole or not there."""

import pandas as pd
import pytest

from cim_sim import parquet
from cim_sim.config import UsageError

TABLE = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


def test_a_table_reads_back_equal_and_in_parts(tmp_path):
    path = tmp_path / "t.parquet"
    parquet.write(TABLE, path)
    pd.testing.assert_frame_equal(parquet.read(path), TABLE)
    assert list(parquet.read(path, ["b"])) == ["b"]
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def test_a_full_disk_leaves_what_was_there(tmp_path):
    path = tmp_path / "t.parquet"
    parquet.write(TABLE, path)
    (tmp_path / "t.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as caught:
        parquet.write(TABLE.head(1), path)
    assert caught.value.filename == str(path)
    assert len(parquet.read(path)) == 2
    assert not (tmp_path / "t.part").is_symlink()


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
        parquet.read(path, columns)
