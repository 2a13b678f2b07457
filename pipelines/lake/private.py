"""The only folder in which a secret may lie: the mask key, read tokens until their run is closed, and whole answers where that is wanted.

`<home>/private/mask.key` is 32 random bytes, made once; `<home>/private/tokens/<sha256 of the run id>` one read token;
`<home>/private/bodies/<sha256>.gz` one answer. Nothing here is logged.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import os
import secrets
from pathlib import Path

from pipelines.errors import LakeError
from pipelines.lake import files

KEY_BYTES = 32


class Private:
    """The private folder of one home; folders 0700, files 0600."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "private"

    def __repr__(self) -> str:
        return "Private(…)"

    def mask_key(self) -> bytes:
        """The mask key, made at first use; of two processes that make it at once one wins. Raises LakeError."""
        path = self._folder / "mask.key"
        key = self._read(path)
        if key is None:
            with contextlib.suppress(FileExistsError):
                files.write_bytes(path, secrets.token_bytes(KEY_BYTES), is_once=True)
            key = self._read(path)
        if key is None or len(key) != KEY_BYTES:
            raise LakeError("the mask key in the private folder is damaged: restore it or remove it")
        return key

    def put(self, run_id: str, token: str) -> None:
        """Keep the read token of a run; a newer one replaces it."""
        self._check(self._path(run_id))
        files.write_bytes(self._path(run_id), token.encode())

    def get(self, run_id: str) -> str | None:
        """The read token of a run, if one is kept."""
        token = self._read(self._path(run_id))
        return None if token is None else token.decode()

    def drop(self, run_id: str) -> None:
        """Forget the read token of a closed run."""
        self._path(run_id).unlink(missing_ok=True)

    def keep_body(self, body: bytes) -> None:
        """Keep an answer byte by byte, packed, under the hash that the lake knows it by (`body_sha256`)."""
        path = self._folder / "bodies" / f"{hashlib.sha256(body).hexdigest()}.gz"
        self._check(path)
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                files.write_bytes(path, gzip.compress(body, mtime=0), is_once=True)

    def _read(self, path: Path) -> bytes | None:
        """The bytes of a private file, None when there is none. Raises LakeError for a symbolic link instead of it, or on the way to it."""
        self._check(path)
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise LakeError(f"{path} is a symbolic link, a file is expected: a secret lies in the private folder only") from None

    def _check(self, path: Path) -> None:
        """No secret is written to, or taken from, a place that a link leads to."""
        for folder in {self._folder, path.parent}:
            if folder.is_symlink():
                raise LakeError(f"{folder} is a symbolic link, a folder is expected: a secret lies in the private folder only")

    def _path(self, run_id: str) -> Path:
        return self._folder / "tokens" / hashlib.sha256(run_id.encode()).hexdigest()
