"""Before the first request: is every folder that a sync writes to there, or makeable, and writable?"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipelines.errors import SettingsError
from pipelines.lake.store import Lake
from pipelines.settings import Settings


def check_folders(settings: Settings) -> None:
    """Make the folders that are missing. Raises SettingsError naming the setting whose place cannot be written."""
    for name in ("RESULTHOUSE_WAREHOUSE", "RESULTHOUSE_REPORT"):
        if "://" in settings.values[name]:
            raise SettingsError(f"{name} is a URL: only a file is supported in this version.")
    for name, path in (("RESULTHOUSE_WAREHOUSE", settings.warehouse), ("RESULTHOUSE_REPORT", settings.report)):
        if path.is_dir():
            raise SettingsError(f"{name} is a folder, a file is expected: {path}")
    for name, folder in (
        ("RESULTHOUSE_HOME", settings.home),
        ("RESULTHOUSE_LAKE", Lake(settings.lake).root),
        ("RESULTHOUSE_WAREHOUSE", settings.warehouse.parent),
        ("RESULTHOUSE_REPORT", settings.report.parent),
    ):
        _check(name, folder)


def _check(name: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingsError(f"{name}: {folder} cannot be written ({error.strerror}).") from None
