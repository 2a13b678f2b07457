"""One lake file: named by its bytes, whole or absent, readable by its owner only."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import LakeError
from pipelines.lake import files

SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("n", pa.int32()), pa.field("names", pa.list_(pa.string()))])
ROWS = [{"id": "a", "n": 1, "names": ["x"]}, {"id": "b"}]
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_name_is_the_hash_of_the_bytes(tmp_path: Path) -> None:
    name = files.write_rows(tmp_path / "a" / "b", "s-1", ROWS, SCHEMA)
    data = (tmp_path / "a" / "b" / name).read_bytes()
    assert name == f"s-1-{hashlib.sha256(data).hexdigest()[:16]}.parquet"
    assert files.verify(tmp_path / "a" / "b" / name)
    assert files.read_table(tmp_path / "a" / "b" / name, SCHEMA).to_pylist() == [
        {"id": "a", "n": 1, "names": ["x"]},
        {"id": "b", "n": None, "names": None},
    ]


def test_same_rows_give_the_same_file(tmp_path: Path) -> None:
    names = {files.write_rows(tmp_path, "s", ROWS, SCHEMA) for _ in range(3)}
    assert [path.name for path in tmp_path.iterdir()] == list(names)


@pytest.mark.fault("X15")
def test_files_and_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        name = files.write_rows(tmp_path / "a" / "b", "s", ROWS, SCHEMA)
    finally:
        os.umask(before)
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / name)]
    assert modes == [0o700, 0o700, 0o600]


@pytest.mark.fault("S9")
def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / files.write_rows(tmp_path, "s", ROWS, SCHEMA)
    data = path.read_bytes()
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert not files.verify(path)
    path.write_bytes(data[:-1])
    assert not files.verify(path)
    path.write_bytes(data)
    assert files.verify(path)


@pytest.mark.fault("S9")
def test_foreign_name_and_missing_file_do_not_verify(tmp_path: Path) -> None:
    path = tmp_path / files.write_rows(tmp_path, "s", ROWS, SCHEMA)
    path.rename(tmp_path / "part-0.parquet")
    assert not files.verify(tmp_path / "part-0.parquet")
    assert not files.verify(path)


@pytest.mark.fault("S4")
def test_interrupted_write_leaves_nothing_that_a_reader_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        files.write_rows(tmp_path, "s", ROWS, SCHEMA)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("S11")
def test_temporary_file_left_by_a_kill_is_ignored_and_later_removed(tmp_path: Path) -> None:
    name = files.write_rows(tmp_path / "a", "s", ROWS, SCHEMA)
    left = tmp_path / "a" / f"{files.TEMPORARY_PREFIX}dead"
    left.write_bytes(b"PAR1 half")
    hidden = tmp_path / "a" / ".tmp-x.parquet"
    hidden.write_bytes(b"PAR1 half")
    temporary: list[str] = []
    assert [Path(path).name for path in files.find_texts(tmp_path, temporary)] == [name]
    for path in (left, hidden):
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    assert files.remove_left(temporary, NOW + timedelta(minutes=5)) == 0
    assert files.remove_left(temporary, NOW + timedelta(hours=2)) == 2
    assert [path.name for path in (tmp_path / "a").iterdir()] == [name]


def test_file_that_exists_is_not_written_again_when_asked_once(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "key", b"first", is_once=True)
    with pytest.raises(FileExistsError):
        files.write_bytes(tmp_path / "key", b"second", is_once=True)
    assert (tmp_path / "key").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_file_without_a_column_or_of_another_width_is_read(tmp_path: Path) -> None:
    other = pa.schema([pa.field("more", pa.int8()), pa.field("n", pa.int64()), pa.field("id", pa.large_string())])
    path = tmp_path / files.write_rows(tmp_path, "s", [{"id": "a", "n": 7}], other)
    assert files.read_table(path, SCHEMA).to_pylist() == [{"id": "a", "n": 7, "names": None}]


@pytest.mark.parametrize("data", [b"", b"PAR1", b"not parquet at all"])
def test_unreadable_file_is_a_lake_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "s.parquet").write_bytes(data)
    with pytest.raises(LakeError, match=r"s\.parquet cannot be read"):
        files.read_table(tmp_path / "s.parquet", SCHEMA)


@pytest.mark.fault("X5")
@pytest.mark.parametrize("sync_id", ["", "../x", "a/b", ".hidden", "a b", "x" * 101])
def test_sync_id_never_becomes_a_path(tmp_path: Path, sync_id: str) -> None:
    with pytest.raises(LakeError):
        files.write_rows(tmp_path, sync_id, ROWS, SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_absent_folder_holds_nothing(tmp_path: Path) -> None:
    assert list(files.find(tmp_path / "none")) == []
