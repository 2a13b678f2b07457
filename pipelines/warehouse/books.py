"""What the lake says about itself -> `meta`: syncs, and entities that were refused, gone or given up. Rebuilt whole at every refresh."""

from __future__ import annotations

import duckdb
import polars as pl

from pipelines.warehouse.derive import derive
from pipelines.warehouse.load import Loader

SHOWN_RULES = ("refused", "gone", "forbidden", "unfetched", "stale_running")
"""Rules of the lake's refused folder that are dead letters; the others are tried again at the next sync and are not."""

_SYNC_COLUMNS = ("sync_id", "provider", "started_at", "ended_at", "requests", "landed", "unchanged", "error")


def write_books(connection: duckdb.DuckDBPyConnection, syncs: pl.DataFrame, refused: pl.DataFrame) -> None:
    """Write meta.syncs and the rejects that stand outside the raw files."""
    connection.execute("BEGIN")
    try:
        if syncs.height:
            connection.register("rows_in", syncs.select(_SYNC_COLUMNS).to_arrow())
            connection.execute("INSERT OR REPLACE INTO meta.syncs BY NAME SELECT * FROM rows_in")
        _write_rejects(connection, refused)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def write_gaps(connection: duckdb.DuckDBPyConnection, gaps: pl.DataFrame) -> None:
    """Replace meta.gaps: columns provider, test_id, gap_start_at, gap_end_at."""
    connection.execute("DELETE FROM meta.gaps")
    if gaps.height:
        connection.register("rows_in", gaps.to_arrow())
        connection.execute("INSERT INTO meta.gaps BY NAME SELECT *, '' AS location, 'not_covered' AS reason FROM rows_in")


def _write_rejects(connection: duckdb.DuckDBPyConnection, refused: pl.DataFrame) -> None:
    shown = refused.filter(pl.col("rule").is_in(SHOWN_RULES)) if refused.height else refused
    if not shown.height:
        return
    connection.register("rows_in", shown.to_arrow())
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE new_rejects AS SELECT provider, endpoint, entity_id, coalesce(body_sha256, '') AS payload_sha256,"
        " '' AS json_pointer, rule, 'payload' AS scope, arg_min(error, seen_at) AS error, min(seen_at) AS first_seen_at"
        " FROM rows_in GROUP BY ALL"
    )
    connection.execute(
        "DELETE FROM new_rejects n USING meta.rejects j WHERE j.provider = n.provider AND j.endpoint = n.endpoint"
        " AND j.entity_id = n.entity_id AND j.payload_sha256 = n.payload_sha256 AND j.json_pointer = '' AND j.rule = n.rule"
    )
    if not connection.execute("SELECT 1 FROM new_rejects LIMIT 1").fetchone():
        return
    connection.execute("INSERT INTO meta.rejects BY NAME SELECT * FROM new_rejects")
    # what was given up as stale gets the outcome `unknown` (contract §3)
    Loader(connection)
    for table, key in (("results", "result_key"), ("runs", "run_key")):
        connection.execute(
            f"INSERT INTO touched_{table} SELECT s.{key} FROM stage.{table} s JOIN new_rejects n ON n.rule = 'stale_running'"
            " AND n.provider = s.provider AND n.endpoint = s.endpoint AND n.entity_id = s.entity_id"
        )
    derive(connection)
