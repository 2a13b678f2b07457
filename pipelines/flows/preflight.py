"""Before the first request: is every folder that a sync writes to there, or makeable, and writable, and no foreign file in the way?"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipelines.errors import SettingsError
from pipelines.lake.store import Lake
from pipelines.settings import Settings

_HOME = ("locks", "private", "work")
_LAKE = ("raw", "windows", "tracked", "syncs", "refused", "accounts")
_BEGINS = {"RESULTHOUSE_WAREHOUSE": (8, b"DUCK"), "RESULTHOUSE_REPORT": (0, b"<!doctype html>")}
"""Where in the file, and how, it says what it is."""


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
        if path.exists() and not path.is_file():  # root could replace a device
            raise SettingsError(f"{name} is a {'folder' if path.is_dir() else 'device'}, a file is expected: {path}")
        if _is_foreign(path, *_BEGINS[name]):
            raise SettingsError(f"{name} is a file of another kind, which would be replaced: {path}")


def _check(name: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingsError(f"{name}: {folder} cannot be written ({error.strerror}).") from None


def _is_foreign(path: Path, place: int, word: bytes) -> bool:
    """A file that holds something and never was one of ours."""
    try:
        with path.open("rb") as file:
            start = file.read(place + len(word))
    except OSError:
        return False
    return bool(start) and start[place:] != word
