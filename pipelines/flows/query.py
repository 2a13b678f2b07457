"""One read-only statement on the published warehouse, for `resulthouse query`, as plain values ready for JSON, CSV or a table.

A statement that mentions the lake also finds `lake.payloads` there: every landed payload version, for fields that no table has.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines.errors import SettingsError
from pipelines.warehouse.connect import Connection, DuckError, open_published, open_with_payloads

EXPLAINED = re.compile(r"^\s*EXPLAIN\b(\s+ANALYZE\b)?(\s*\(\s*(FORMAT|ANALYZE)\b[^()]*\))?\s+", re.IGNORECASE)
"""EXPLAIN ANALYZE runs what it explains, so that must be reading, too. One behind a comment is not run: it could hide another."""

MENTIONS_LAKE = re.compile(r"\blake\b", re.IGNORECASE)
KEYS = frozenset({"result_key", "run_key"})
MAX_EXACT = 2**53  # beyond it a JSON reader that knows only doubles would round


@dataclass(frozen=True)
class Answer:
    """Column names and rows. Values are None, bool, int, float, str, list or dict: instants are ISO-8601 UTC, keys are text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def run_query(warehouse: Path, sql: str, lake: str | None = None) -> Answer:
    """Run one statement; without `lake` there is no `lake.payloads`. To DuckDB, WITH, FROM, VALUES, DESCRIBE and SHOW are SELECT.

    Raises SettingsError for anything else than one reading statement that DuckDB accepts, WarehouseError.
    """
    connection = _open(warehouse, lake, sql)
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1:
            raise SettingsError(f"One SQL statement is expected, these are {len(statements)}.")
        kinds = [statement.type.name for statement in statements]
        if kinds == ["EXPLAIN"]:
            kinds = [each.type.name for each in connection.extract_statements(EXPLAINED.sub("", statements[0].query, count=1))]
        if kinds != ["SELECT"]:
            raise SettingsError(f"Only reading is possible here: {' '.join(kinds)} is not run.")
        cursor = connection.execute(statements[0])
        columns = [str(column[0]) for column in cursor.description or ()]
        rows = [[_plain(value, name) for name, value in zip(columns, row, strict=True)] for row in cursor.fetchall()]
    except DuckError as error:
        raise SettingsError(str(error).splitlines()[0]) from None
    finally:
        connection.close()
    return Answer(columns, rows)


def _open(warehouse: Path, lake: str | None, sql: str) -> Connection:
    """Only who asks for the lake waits for it (0.3 s), and only there can its state be in the way."""
    if lake is None or not MENTIONS_LAKE.search(sql):
        return open_published(warehouse)
    from pipelines.lake.dataset import landed
    from pipelines.lake.store import Lake

    return open_with_payloads(warehouse, landed(Lake(lake)))


def _plain(value: Any, name: str = "") -> Any:
    """A DuckDB value as one that JSON knows. NaN and infinities have no JSON: text."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value) if name in KEYS or abs(value) > MAX_EXACT else value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime):
        # a TIMESTAMP without a zone is printed as it is
        return value.isoformat() if value.tzinfo is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"PT{value.total_seconds():g}S"
    if isinstance(value, Decimal):
        return float(value) if len(value.as_tuple().digits) <= 15 else str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(child) for child in value]
    return str(value)
