"""Does a data folder keep what is promised at every moment? Reads lake and published warehouse and says what is broken; changes nothing.

`violations(home, lake, warehouse)` is asked after every integration test (`tests/conftest.py`). What a scenario alone can know (that no
request went elsewhere, that a deadline held) is asserted by its own test.
"""

from __future__ import annotations

import json
import stat
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from pipelines.lake import files
from pipelines.schemas import CORE
from pipelines.schemas.marts import MARTS, VIEWS
from pipelines.warehouse.connect import open_published
from pipelines.warehouse.marts import select_of_all

_DURATIONS = [
    (name, column) for name, table in CORE.items() for column, declared in table.columns.items() if declared.metadata["unit"] == "ms"
]
_INSTANTS = [
    (name, column)
    for name, table in CORE.items()
    for column, declared in table.columns.items()
    if declared.metadata["sql"] == "TIMESTAMPTZ" and not column.startswith("valid_")
]


def violations(lake: Path, warehouse: Path, secrets: Iterable[str] = ()) -> list[str]:
    """Sentences about broken promises, none when all is well. `secrets` are texts that no file below the lake or warehouse may hold."""
    found = [f"{path} is not private" for path in _below(lake) if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    landed = _landed(lake, found)
    if warehouse.is_file():
        connection = open_published(warehouse)
        try:
            found += _conservation(connection, landed, lake)
            found += _monotone(connection, lake)
            found += _keys(connection)
            found += _plausible(connection)
            found += _marts(connection)
        finally:
            connection.close()
    texts = [secret.encode() for secret in secrets]
    for path in [*_below(lake), warehouse] if texts else ():
        data = path.read_bytes() if path.is_file() else b""
        found += [f"{path} holds a secret" for text in texts if text in data]
    return found


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*")) if folder.is_dir() else []


def _landed(lake: Path, found: list[str]) -> dict[str, Counter[str]]:
    """Versions by file as it was written, by itself or in a merged one: raw file -> hash of payload -> rows.

    Damaged files are left out (a reader leaves them out too).
    """
    landed: dict[str, Counter[str]] = {}
    for path in files.find(lake / "raw"):
        if files.verify(path):
            table = pq.read_table(path, columns=["entity_id", "payload_sha256", "payload"])
            hashes = table["payload_sha256"].to_pylist()
            merged = (table.schema.metadata or {}).get(b"resulthouse.files")
            for name, rows in json.loads(merged) if merged else [(path.name, len(hashes))]:
                landed[path.with_name(name).relative_to(lake / "raw").as_posix()] = Counter(hashes[:rows])
                del hashes[:rows]
            if table.num_rows == 0:
                found.append(f"{path} holds no row")
            if hashes:
                found.append(f"{path} holds rows of no file")
    return landed


def _conservation(connection: duckdb.DuckDBPyConnection, landed: dict[str, Counter[str]], lake: Path) -> list[str]:
    """Landed = loaded + superseded + rejected, per file and per endpoint; no row in core without a raw file that verifies."""
    ledger = connection.execute("SELECT raw_file, payloads, loaded, superseded, rejected FROM meta.loads").fetchall()
    found = []
    for raw_file, payloads, loaded, superseded, rejected in ledger:
        if payloads != loaded + superseded + rejected:
            found.append(f"{raw_file}: {payloads} landed, {loaded} loaded, {superseded} superseded, {rejected} rejected")
        if raw_file not in landed:
            found.append(f"{raw_file} is in the ledger, but no file of the lake verifies by that name")
        elif landed[raw_file].total() != payloads:
            found.append(f"{raw_file} holds {landed[raw_file].total()} versions, the ledger says {payloads}")
    versions: dict[str, Counter[str]] = {}
    for raw_file, sha256 in connection.execute("SELECT raw_file, payload_sha256 FROM meta.versions").fetchall():
        versions.setdefault(raw_file, Counter())[sha256] += 1
    known = {row[0] for row in ledger}
    found += [f"{name}: its versions are not those that landed" for name in known & set(landed) if versions.get(name) != landed[name]]
    known_hashes = {sha256 for counter in landed.values() for sha256 in counter}
    for table in ("results", "runs"):
        hashes = {row[0] for row in connection.execute(f"SELECT DISTINCT payload_sha256 FROM core.{table}").fetchall()}
        found += [f"core.{table} has rows of a payload that no file of the lake holds" for _ in hashes - known_hashes - {None}]
    return found


def _monotone(connection: duckdb.DuckDBPyConnection, lake: Path) -> list[str]:
    """Of one entity the newest version stands, and a terminal one never gave way to a running one."""
    rows = connection.execute(
        "SELECT provider, endpoint, entity_id FROM meta.versions WHERE state <> 'rejected'"
        " GROUP BY ALL HAVING count(*) FILTER (state = 'loaded') <> 1 AND count(*) FILTER (state = 'superseded') > 0"
        " OR arg_max(state, (finality, fetched_at, payload_sha256)) <> 'loaded'"
    ).fetchall()
    return [f"{provider}/{endpoint} {entity}: not exactly its newest version is loaded" for provider, endpoint, entity in rows]


def _keys(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Keys unique and not NULL, every child has its parent, exactly one final try per ended execution."""
    found = []
    for name, table in CORE.items():
        keys = table.model.primary_key()
        listed = ", ".join(keys)
        absent = " OR ".join(f"{key} IS NULL" for key in keys)
        if connection.execute(f"SELECT 1 FROM core.{name} WHERE {absent} LIMIT 1").fetchone():
            found.append(f"core.{name} has a NULL in its key")
        if connection.execute(f"SELECT 1 FROM core.{name} GROUP BY {listed} HAVING count(*) > 1 LIMIT 1").fetchone():
            found.append(f"core.{name} has a key twice")
        if table.owner is not None:
            parent = "results" if table.owner == "result_key" else "runs"
            if connection.execute(f"SELECT 1 FROM core.{name} ANTI JOIN core.{parent} USING ({table.owner}) LIMIT 1").fetchone():
                found.append(f"core.{name} has a row without its parent")
    if connection.execute("SELECT 1 FROM core.results GROUP BY provider, execution_id HAVING count(*) FILTER (is_final) > 1").fetchone():
        found.append("an execution has two final tries")
    if connection.execute("SELECT 1 FROM core.results WHERE is_final AND NOT is_terminal").fetchone():
        found.append("a running try is final")
    executions, counted = connection.execute(
        "SELECT (SELECT count(*) FROM core.results WHERE is_final), (SELECT count(*) FROM marts.executions)"
    ).fetchall()[0]
    if executions != counted:
        found.append(f"{executions} final tries, {counted} executions in the marts")
    return found


def _plausible(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = [
        f"core.{table}.{column} has a duration below zero or not a number"
        for table, column in _DURATIONS
        if connection.execute(f"SELECT 1 FROM core.{table} WHERE {column} < 0 OR NOT isfinite({column}) LIMIT 1").fetchone()
    ]
    found += [
        f"core.{table}.{column} has an instant before 2010 or after 2100"
        for table, column in _INSTANTS
        if connection.execute(f"SELECT 1 FROM core.{table} WHERE year({column}) NOT BETWEEN 2010 AND 2100 LIMIT 1").fetchone()
    ]
    return found


def _marts(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every mart holds what its SELECT gives, however many refreshes built it."""
    found = []
    for name in MARTS.keys() - VIEWS:
        mart, select = f"FROM marts.{name}", f"FROM ({select_of_all(name)})"
        if connection.execute(f"({mart} EXCEPT ALL {select}) UNION ALL ({select} EXCEPT ALL {mart}) LIMIT 1").fetchone():
            found.append(f"marts.{name} is not what its SELECT gives")
    return found
