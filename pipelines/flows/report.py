"""Published warehouse -> the HTML report, written atomically."""

from __future__ import annotations

from pipelines.clock import Clock
from pipelines.lake import files
from pipelines.report.build import build_report
from pipelines.settings import Settings
from pipelines.warehouse.connect import open_published, rows


def write_report(settings: Settings, clock: Clock) -> int:
    """Write the report beside its place and move it there. Returns its size in bytes. Raises WarehouseError."""
    connection = open_published(settings.warehouse)
    try:
        page = build_report(lambda sql: rows(connection, sql), clock.now()).encode()
    finally:
        connection.close()
    files.write_bytes(settings.report, page)
    return len(page)
