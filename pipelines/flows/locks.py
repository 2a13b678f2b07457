"""What only one run may do at a time, and who is doing it: a lock file each, freed by the system when its holder dies.

The file says who holds it, written once it is held. Without a holder that text is stale and means nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pipelines.clock import SystemClock
from pipelines.errors import BusyError, SettingsError
from pipelines.providers.spec import Provider

WRITER_WAIT_S = 600.0


def provider_lock(home: Path, provider: Provider) -> AbstractContextManager[None]:
    """Held while a provider is pulled; a second pull is refused at once."""
    return held(home / "locks" / f"pull-{provider.name}.lock", f"A sync of {provider.title} is already running")


def writer_lock(home: Path, wait_s: float = WRITER_WAIT_S) -> AbstractContextManager[None]:
    """Held by the one writer of the warehouse; another one waits for it."""
    busy = f"Another run is writing the warehouse and did not end within {wait_s / 60:g} minutes"
    return held(home / "locks" / "warehouse.lock", busy, wait_s)


@contextmanager
def held(path: Path, busy: str, wait_s: float = 0.0) -> Iterator[None]:
    """A lock for the length of a block; what it raises says `take`."""
    lock = take(path, busy, wait_s)
    try:
        yield
    finally:
        lock.release()


def take(path: Path, busy: str, wait_s: float = 0.0) -> FileLock:
    """A lock, held until it is released or the process ends. Waits for it up to `wait_s` seconds.

    Raises BusyError, with who holds it behind the words of `busy`, and SettingsError when no lock file can lie there.
    """
    lock = FileLock(str(path), timeout=wait_s, mode=0o600)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.resolve() != path:
            raise SettingsError(f"The lock {path} is a symbolic link, or behind one: remove it.")
        lock.acquire()
    except Timeout:
        raise BusyError(f"{busy}{_holder(path)}.") from None
    except (OSError, RuntimeError) as error:  # links in a circle are a RuntimeError to pathlib
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is no place for a file"
        raise SettingsError(f"The lock {path} cannot be taken ({reason}).") from None
    with suppress(OSError):  # a courtesy to who comes second
        path.write_text(f"process {os.getpid()} on {socket.gethostname()} since {SystemClock().now():%Y-%m-%d %H:%M:%S} UTC\n")
    return lock


def _holder(path: Path) -> str:
    try:
        said = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        said = ""
    return f": {said}" if said.startswith("process ") and said.isprintable() else ""
