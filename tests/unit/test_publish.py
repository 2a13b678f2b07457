"""Publishing a file, whatever lies around it: the published one is the old one or the new one, never anything between."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import WarehouseError
from pipelines.warehouse.connect import open_published, open_work, wal
from pipelines.warehouse.ddl import create_all
from pipelines.warehouse.publish import checkpoint, contents, publish, published_contents


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work file that is checkpointed and closed."""
    path = tmp_path / "work" / "warehouse.duckdb"
    connection = open_work(path)
    create_all(connection)
    checkpoint(connection, path)
    return path


def _mark(path: Path, number: int) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE OR REPLACE TABLE core.mark AS SELECT {number} AS n")
        connection.execute("CHECKPOINT")


def _marked(path: Path) -> object:
    connection = open_published(path)
    try:
        return connection.execute("SELECT n FROM core.mark").fetchall()[0][0]
    finally:
        connection.close()


def test_what_is_published_has_its_mode_and_not_the_loaders_own_schema(work: Path, tmp_path: Path) -> None:
    _mark(work, 1)
    published = tmp_path / "made" / "on the way" / "warehouse.duckdb"
    assert publish(work, published, 0o440) == published.stat().st_size
    assert published.stat().st_mode & 0o777 == 0o440
    connection = open_published(published)
    try:
        schemas = {name for (name,) in connection.execute("SELECT DISTINCT schema_name FROM duckdb_tables()").fetchall()}
    finally:
        connection.close()
    assert "core" in schemas
    assert "stage" not in schemas
    assert [path.name for path in published.parent.iterdir()] == [published.name]


def test_what_an_earlier_publish_left_half_done_is_nobodys(work: Path, tmp_path: Path) -> None:
    published = tmp_path / "warehouse.duckdb"
    copy = published.with_name(f".{published.name}.tmp")
    elsewhere = tmp_path / "precious"
    elsewhere.write_bytes(b"precious")
    copy.symlink_to(elsewhere)
    wal(copy).write_bytes(b"the log of another file")
    _mark(work, 2)
    publish(work, published, 0o600)
    assert _marked(published) == 2
    assert elsewhere.read_bytes() == b"precious"
    assert not copy.is_symlink()
    assert not wal(copy).exists()


def test_a_publish_that_fails_says_why_and_leaves_what_was_there(work: Path, tmp_path: Path) -> None:
    published = tmp_path / "warehouse.duckdb"
    _mark(work, 3)
    publish(work, published, 0o600)
    broken = tmp_path / "broken.duckdb"
    broken.write_bytes(work.read_bytes()[:5000])
    (tmp_path / "file").write_text("")
    cases = ((tmp_path / "absent.duckdb", published), (broken, published), (work, tmp_path / "file" / "warehouse.duckdb"))
    for source, target in cases:
        with pytest.raises(WarehouseError, match=r"could not be published: .+") as caught:
            publish(source, target, 0o600)
        assert str(target) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert _marked(published) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"work", "warehouse.duckdb", "broken.duckdb", "file"}


@pytest.mark.parametrize("answers", [[errno.EXDEV], [errno.ENOSYS], [errno.EOPNOTSUPP], [4096, errno.EINVAL], [0], [4096, 0]])
def test_a_kernel_that_does_not_copy_or_stops_half_way_is_helped_out(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[int]
) -> None:
    real, told = os.copy_file_range, iter(answers)

    def copy_file_range(source: int, target: int, count: int) -> int:
        answer = next(told)
        if answer in (0, 4096):
            return real(source, target, answer) if answer else 0
        raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr(os, "copy_file_range", copy_file_range)
    _mark(work, 4)
    publish(work, tmp_path / "warehouse.duckdb", 0o600)
    assert _marked(tmp_path / "warehouse.duckdb") == 4
    assert next(told, None) is None


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_kernel_that_copies_and_fails_is_not_helped_out(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A disk that is full or broken is said at once, not written to a second time."""
    published = tmp_path / "warehouse.duckdb"
    _mark(work, 5)
    publish(work, published, 0o600)

    def copy_file_range(source: int, target: int, count: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "copy_file_range", copy_file_range)
    monkeypatch.setattr(shutil, "copyfileobj", lambda *given: pytest.fail("written a second time"))
    _mark(work, 6)
    with pytest.raises(WarehouseError, match=rf"could not be published: {os.strerror(number)}$"):
        publish(work, published, 0o600)
    assert _marked(published) == 5
    assert {path.name for path in tmp_path.iterdir()} == {"work", "warehouse.duckdb"}


def test_a_file_that_cannot_be_read_is_published_anew(work: Path, tmp_path: Path) -> None:
    published = tmp_path / "warehouse.duckdb"
    assert published_contents(published) is None
    published.write_bytes(b"no database at all")
    assert published_contents(published) is None
    with duckdb.connect(str(tmp_path / "other.duckdb")) as other:
        other.execute("CREATE TABLE t (x INTEGER)")
    assert published_contents(tmp_path / "other.duckdb") is None
    publish(work, published, 0o600)
    with duckdb.connect(str(work)) as connection:
        assert published_contents(published) == contents(connection)


def test_a_file_whose_log_is_left_is_not_published(work: Path) -> None:
    connection = duckdb.connect(":memory:")
    wal(work).write_bytes(b"commits that the file has not")
    with pytest.raises(WarehouseError, match="write-ahead log"):
        checkpoint(connection, work)
