"""What no way of doing this can do without: reading the Parquet, parsing each payload once, writing the rows into a DuckDB file.

    python -m tests.benchmarks.bound LAKE FILE...

For the rows of each FILE. Prints one JSON object: CPU seconds of `read`, `parse` and `write` (by FILE's stem).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from tests.benchmarks.tables import BROWSER, SESSION, files


def cpu_of(connection: duckdb.DuckDBPyConnection, sql: str, listed: list[str] | None = None) -> float:
    """CPU seconds of a statement, the better of two runs."""
    best = float("inf")
    for _ in range(2):
        started = time.process_time()
        connection.execute(sql, [listed] if listed is not None else None).fetchall()
        best = min(best, time.process_time() - started)
    return best


def write_cpu(source: Path, folder: Path) -> float:
    """CPU seconds of writing a file's core tables, keys as they are, from memory into a new file."""
    connection = duckdb.connect(":memory:")
    connection.execute(f"ATTACH '{source}' AS source (READ_ONLY)")
    listed = connection.execute(
        "SELECT table_name, sql FROM duckdb_tables() WHERE database_name = 'source' AND schema_name = 'core' AND estimated_size > 0"
    ).fetchall()
    connection.execute("CREATE SCHEMA core")
    for name, _ in listed:
        connection.execute(f"CREATE TABLE core.{name} AS FROM source.core.{name}")
    connection.execute(f"ATTACH '{folder / source.name}' AS target")
    connection.execute("CREATE SCHEMA target.core")
    for _, sql in listed:
        connection.execute(sql.replace("CREATE TABLE core.", "CREATE TABLE target.core.", 1))
    started = time.process_time()
    for name, _ in listed:
        connection.execute(f"INSERT INTO target.core.{name} FROM memory.core.{name}")
    connection.execute("CHECKPOINT target")
    return time.process_time() - started


def main(lake: Path, outputs: list[Path]) -> None:
    """Measure and print."""
    connection = duckdb.connect(":memory:")
    listed = [*files(lake, BROWSER), *files(lake, SESSION)]
    source = "FROM read_parquet(?, hive_partitioning = false)"
    read = cpu_of(connection, f"SELECT max(entity_id), max(payload_sha256), sum(strlen(payload)) {source}", listed)
    connection.execute(f"CREATE TABLE payloads AS SELECT payload {source}", [listed])
    scanned = cpu_of(connection, "SELECT sum(strlen(payload)) FROM payloads")
    parse = cpu_of(connection, "SELECT count(*) FROM payloads WHERE json_valid(payload)") - scanned
    with TemporaryDirectory() as folder:
        write = {path.stem: write_cpu(path, Path(folder)) for path in outputs}
    sys.stdout.write(json.dumps({"read": read, "parse": parse, "write": write}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
