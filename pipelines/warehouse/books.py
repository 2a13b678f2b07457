"""What the lake says about itself -> `meta`: syncs, and entities that were refused, gone or given up. Rebuilt whole at every refresh."""

from __future__ import annotations

import duckdb
import polars as pl

from pipelines.warehouse.connect import hand_over
from pipelines.warehouse.derive import derive
from pipelines.warehouse.load import Loader

SHOWN_RULES = ("refused", "gone", "forbidden", "unfetched", "stale_running", "crowded")
"""Rules of the lake's refused folder that are dead letters; the others are tried again at the next sync and are not."""

_SAME = (
    "{0}.provider = j.provider AND {0}.endpoint = j.endpoint AND {0}.entity_id = j.entity_id"
    " AND {0}.payload_sha256 = j.payload_sha256 AND j.json_pointer = '' AND {0}.rule = j.rule"
)
_SYNC_COLUMNS = ("sync_id", "provider", "started_at", "ended_at", "requests", "landed", "unchanged", "error")


def write_books(connection: duckdb.DuckDBPyConnection, syncs: pl.DataFrame, refused: pl.DataFrame) -> None:
    """Write meta.syncs and the rejects that stand outside the raw files."""
    connection.execute("BEGIN")
    try:
        if syncs.height:
            hand_over(connection, syncs.select(_SYNC_COLUMNS))
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
        hand_over(connection, gaps)
        connection.execute("INSERT INTO meta.gaps BY NAME SELECT *, '' AS location, 'not_covered' AS reason FROM rows_in")


def _write_rejects(connection: duckdb.DuckDBPyConnection, refused: pl.DataFrame) -> None:
    if not refused.height:
        return
    hand_over(connection, refused)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE told AS SELECT provider, endpoint, entity_id, coalesce(body_sha256, '') AS payload_sha256,"
        " '' AS json_pointer, rule, 'payload' AS scope, arg_min(error, seen_at) AS error, min(seen_at) AS first_seen_at,"
        " max(seen_at) AS last_seen_at FROM rows_in WHERE list_contains($shown, rule) GROUP BY ALL",
        {"shown": list(SHOWN_RULES)},
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE new_rejects AS SELECT * EXCLUDE (last_seen_at) FROM told n WHERE NOT EXISTS"
        f" (FROM meta.rejects j WHERE {_SAME.format('n')})"
    )
    if connection.execute("SELECT 1 FROM new_rejects LIMIT 1").fetchone():
        _insert(connection)
    hand_over(connection, refused)
    # a list that was refused is good again once it was read whole (an entity: once a version of it has landed, see derive/meta.sql)
    connection.execute(
        "UPDATE meta.rejects j SET resolved_at = l.resolved_at FROM ("
        " SELECT t.*, min(r.seen_at) FILTER (r.seen_at > t.last_seen_at) AS resolved_at FROM told t JOIN rows_in r"
        " ON r.rule = 'listed' AND r.provider = t.provider AND r.endpoint = t.endpoint AND r.entity_id = t.entity_id GROUP BY ALL) l"
        f" WHERE {_SAME.format('l')} AND j.resolved_at IS DISTINCT FROM l.resolved_at"
    )


def _insert(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("INSERT INTO meta.rejects BY NAME SELECT * FROM new_rejects")
    # what was given up as stale gets the outcome `unknown` (contract §3)
    Loader(connection)
    for table, key in (("results", "result_key"), ("runs", "run_key")):
        connection.execute(
            f"INSERT INTO noted_{table} SELECT s.{key} FROM stage.{table} s JOIN new_rejects n ON n.rule = 'stale_running'"
            " AND n.provider = s.provider AND n.endpoint = s.endpoint AND n.entity_id = s.entity_id"
        )
    derive(connection)
