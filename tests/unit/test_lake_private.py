"""The private folder: one mask key for ever, read tokens while they are needed, nothing readable by others."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from pipelines.errors import LakeError
from pipelines.lake.private import Private

TOKEN = "read-token-Zq7xR2mVw9"


def test_mask_key_is_made_once_and_stays(tmp_path: Path) -> None:
    key = Private(tmp_path).mask_key()
    assert len(key) == 32
    assert Private(tmp_path).mask_key() == key
    assert Private(tmp_path / "other").mask_key() != key


@pytest.mark.fault("S9")
def test_damaged_mask_key_is_said_and_not_replaced(tmp_path: Path) -> None:
    Private(tmp_path).mask_key()
    path = tmp_path / "private" / "mask.key"
    path.write_bytes(b"short")
    with pytest.raises(LakeError, match="mask key"):
        Private(tmp_path).mask_key()
    assert path.read_bytes() == b"short"


def test_read_token_is_kept_until_it_is_dropped(tmp_path: Path) -> None:
    private = Private(tmp_path)
    assert private.get("run/../1") is None
    private.put("run/../1", "old")
    private.put("run/../1", TOKEN)
    assert Private(tmp_path).get("run/../1") == TOKEN
    private.drop("run/../1")
    private.drop("run/../1")
    assert private.get("run/../1") is None
    assert TOKEN.encode() not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.fault("X15")
def test_folder_is_0700_and_files_0600(tmp_path: Path) -> None:
    private = Private(tmp_path)
    private.mask_key()
    private.put("run", TOKEN)
    private.keep_body(TOKEN.encode())
    paths = [tmp_path / "private", *(tmp_path / "private").rglob("*")]
    assert len(paths) == 6
    for path in paths:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


@pytest.mark.fault("D1")
def test_an_answer_is_kept_once_byte_by_byte_under_its_hash_and_never_behind_a_link(tmp_path: Path) -> None:
    private = Private(tmp_path)
    for body in (b"", b"\x00\xff no JSON", b'{"a":1,"a":2}', b'{"a":1,"a":2}'):
        private.keep_body(body)
        (path,) = (tmp_path / "private" / "bodies").glob(f"{hashlib.sha256(body).hexdigest()}.gz")
        assert gzip.decompress(path.read_bytes()) == body
    assert len(list((tmp_path / "private" / "bodies").iterdir())) == 3
    (tmp_path / "private" / "bodies").rename(tmp_path / "elsewhere")
    (tmp_path / "private" / "bodies").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LakeError, match="symbolic link"):
        private.keep_body(b"another")


@pytest.mark.fault("X1")
def test_neither_key_nor_token_shows_in_text_or_file_names(tmp_path: Path) -> None:
    private = Private(tmp_path)
    private.put("run-1", TOKEN)
    assert TOKEN not in repr(private) + str(private)
    names = [str(path) for path in tmp_path.rglob("*")]
    assert not any(TOKEN in name or "run-1" in name for name in names)
