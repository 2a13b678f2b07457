"""Before the first request: is every folder that a sync writes to there, or makeable, and writable, and no foreign file in the way?"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipelines.errors import SettingsError
from pipelines.lake.store import Lake
from pipelines.settings import Settings

_HOME = ("locks", "private", "work")
_LAKE = ("raw", "windows", "tracked", "syncs", "refused", "accounts")
_MAGIC = slice(8, 12)
"""Where every DuckDB file says `DUCK`."""


def check_folders(settings: Settings) -> None:
    """Make the folders that are missing. Raises SettingsError naming the setting whose place cannot be written."""
    for name in ("RESULTHOUSE_WAREHOUSE", "RESULTHOUSE_REPORT"):
        if "://" in settings.values[name]:
            raise SettingsError(f"{name} is a URL: only a file is supported in this version.")
    lake = Lake(settings.lake).root
    for name, folder in (
        ("RESULTHOUSE_HOME", settings.home),
        ("RESULTHOUSE_LAKE", lake),
        ("RESULTHOUSE_WAREHOUSE", settings.warehouse.parent),
        ("RESULTHOUSE_REPORT", settings.report.parent),
    ):
        _check(name, folder)
    for name, parent, parts in (("RESULTHOUSE_HOME", settings.home, _HOME), ("RESULTHOUSE_LAKE", lake, _LAKE)):
        for folder in (parent / part for part in parts):
            if folder.exists() or folder.is_symlink():
                _check(name, folder)
    for name, path in (("RESULTHOUSE_WAREHOUSE", settings.warehouse), ("RESULTHOUSE_REPORT", settings.report)):
        if path.is_dir():
            raise SettingsError(f"{name} is a folder, a file is expected: {path}")
    if _is_foreign(settings.warehouse):
        raise SettingsError(f"RESULTHOUSE_WAREHOUSE is a file of another kind, which would be replaced: {settings.warehouse}")


def _check(name: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingsError(f"{name}: {folder} cannot be written ({error.strerror}).") from None


def _is_foreign(warehouse: Path) -> bool:
    """A file that holds something and never was a DuckDB file."""
    try:
        with warehouse.open("rb") as file:
            start = file.read(_MAGIC.stop)
    except OSError:
        return False
    return bool(start) and start[_MAGIC] != b"DUCK"
