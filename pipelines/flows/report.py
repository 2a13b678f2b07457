"""Published warehouse -> the HTML report, written atomically."""

from __future__ import annotations

import os

from pipelines.clock import Clock
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
    settings.report.parent.mkdir(parents=True, exist_ok=True)
    temporary = settings.report.with_name(f".{settings.report.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(page)
        temporary.chmod(0o600)
        temporary.replace(settings.report)
    finally:
        temporary.unlink(missing_ok=True)
    return len(page)
