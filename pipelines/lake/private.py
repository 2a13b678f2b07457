"""The only folder in which a secret may lie: the mask key, and read tokens until their run is closed.

`<home>/private/mask.key` is 32 random bytes, made once; `<home>/private/tokens/<sha256 of the run id>` one read token.
Nothing here is logged.
"""

from __future__ import annotations

import contextlib
import hashlib
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
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                files.write_bytes(path, secrets.token_bytes(KEY_BYTES), is_once=True)
        key = path.read_bytes()
        if len(key) != KEY_BYTES:
            raise LakeError("the mask key in the private folder is damaged: restore it or remove it")
        return key

    def put(self, run_id: str, token: str) -> None:
        """Keep the read token of a run; a newer one replaces it."""
        files.write_bytes(self._path(run_id), token.encode())

    def get(self, run_id: str) -> str | None:
        """The read token of a run, if one is kept."""
        try:
            return self._path(run_id).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def drop(self, run_id: str) -> None:
        """Forget the read token of a closed run."""
        self._path(run_id).unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        return self._folder / "tokens" / hashlib.sha256(run_id.encode()).hexdigest()
