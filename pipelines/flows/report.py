"""Published warehouse -> the HTML report, written atomically. Syncs with nothing new leave it for an hour: drawing it takes a second."""

from __future__ import annotations

from datetime import timedelta

from pipelines.clock import Clock
from pipelines.lake import files
from pipelines.report.build import build_report
from pipelines.settings import Settings
from pipelines.warehouse.connect import open_published, rows

STANDS_FOR = timedelta(hours=1)
"""How long a page's ages may be of when it was made; they are counted from there, and the page says so."""


def is_current(settings: Settings, clock: Clock) -> bool:
    """Whether the report is not an hour old, and no older than the published warehouse."""
    try:
        made, published = settings.report.stat().st_mtime, settings.warehouse.stat().st_mtime
    except OSError:
        return False
    return made >= published and 0 <= clock.now().timestamp() - made < STANDS_FOR.total_seconds()


def write_report(settings: Settings, clock: Clock) -> int:
    """Write the report beside its place and move it there. Returns its size in bytes. Raises WarehouseError."""
    connection = open_published(settings.warehouse)
    try:
        page = build_report(lambda sql: rows(connection, sql), clock.now()).encode()
    finally:
        connection.close()
    files.write_bytes(settings.report, page)
    return len(page)
