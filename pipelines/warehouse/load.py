"""Validated frames -> tables, inside the caller's transaction: which version of an entity stands, and its rows replaced as a whole.

What needs several payloads (merging, tries, runs, test versions) is derived afterwards by `pipelines.warehouse.derive`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import duckdb
import polars as pl

from pipelines.schemas import CHILDREN, SIGHTINGS
from pipelines.warehouse.connect import few, hand_over

MEMORY_MB = (150, 150, 250, 400)
"""What DuckDB may hold of the work file while it is loaded, and when that is too little: the same after a checkpoint, then more."""

_FINGERPRINT = (
    """md5(regexp_replace(regexp_replace(lower(message), '''[^'']*''|"[^"]*"|`[^`]*`|[*]{3}[0-9a-f]{12}', '?', 'g'),"""
    " '[0-9a-f]{8}-[0-9a-f-]{27}|0x[0-9a-f]+|[0-9]+', '#', 'g'))"
)
"""Errors that differ only in quoted parts, ids and numbers share a fingerprint."""

_DERIVED_AT_INSERT = {
    "errors": {"fingerprint": f"substr({_FINGERPRINT}, 1, 16)"},
    "assertions": {"outcome_endpoint": "$origin"},
}


_SAID = ", ".join(name for name in SIGHTINGS.columns if name not in ("test_id", "observed_at"))
"""What a sighting says of a test: most say what the one before them said."""

PLACE = "provider, test_id, endpoint, origin, observed_at"
"""Where a sighting stands among those of its test."""


@dataclass(frozen=True)
class Source:
    """Where frames came from: one endpoint of one provider."""

    provider: str
    endpoint: str
    is_summary: bool
    keeps_history: bool

    @property
    def origin(self) -> str:
        """What child rows carry as `endpoint`: the lake folder."""
        return f"{self.provider}/{self.endpoint}"


class Loader:
    """Loads rounds of payloads; remembers which results, runs and tests were touched, for the derive step."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.forget()

    def forget(self) -> None:
        """Forget what was touched: it is derived."""
        connection = self.connection
        for name, key in (("results", "result_key"), ("runs", "run_key")):
            connection.execute(f"CREATE OR REPLACE TEMP TABLE noted_{name} ({key} BIGINT)")
            connection.execute(f"CREATE OR REPLACE TEMP VIEW touched_{name} AS FROM noted_{name} WHERE {few(key)}")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE touched_sightings AS SELECT {PLACE} FROM stage.sightings LIMIT 0")

    def touched(self) -> int:
        """How much is to be derived, in results; what was touched twice counts twice, a run as ten: it is as wide."""
        return self._count("noted_results") + 10 * self._count("noted_runs")

    def keys(self) -> dict[str, list[int]]:
        """What was touched, by the name of the key."""
        noted = {"result_key": "noted_results", "run_key": "noted_runs"}
        return {
            key: [row[0] for row in self.connection.execute(f"SELECT DISTINCT {key} FROM {name}").fetchall()] for key, name in noted.items()
        }

    def load_round(self, source: Source, versions: pl.DataFrame, frames: Mapping[str, pl.DataFrame], drift: pl.DataFrame) -> None:
        """Load one version of each of several entities.

        `versions` has the columns entity_id, payload_sha256, fetched_at, finality, raw_file and one row per entity; `frames` are validated
        and carry entity_id; `drift` has entity_id, json_pointer, kind. An older or non-monotone version changes nothing.
        """
        self._choose_winners(source, versions)
        if self._count("winners WHERE replaces IS NOT NULL"):
            self._remove_replaced(source)
        self._note_versions(source)
        for name, frame in frames.items():
            if frame.height:
                self._insert(source, name, frame)
        if drift.height:
            self._run(
                "INSERT INTO stage.drift BY NAME SELECT $provider AS provider, $endpoint AS endpoint, r.*, w.fetched_at AS seen_at"
                " FROM rows_in r JOIN winners w USING (entity_id)",
                source,
                drift,
            )

    def reject(self, source: Source, rejects: pl.DataFrame, scope: str) -> None:
        """Write dead letters: columns entity_id, payload_sha256, fetched_at, raw_file, json_pointer, rule, error."""
        if not rejects.height:
            return
        self._run(
            "INSERT OR IGNORE INTO meta.rejects BY NAME SELECT $provider AS provider, $endpoint AS endpoint,"
            " * EXCLUDE (fetched_at), $scope AS scope, fetched_at AS first_seen_at FROM rows_in"
            " QUALIFY row_number() OVER (PARTITION BY entity_id, payload_sha256, json_pointer, rule ORDER BY fetched_at) = 1",
            source,
            rejects,
            scope=scope,
        )

    def reject_versions(self, source: Source, versions: pl.DataFrame) -> None:
        """Count versions that gave no entity row. Same columns as `versions` of load_round."""
        if versions.height:
            self._run(
                "INSERT INTO meta.versions BY NAME SELECT $provider AS provider, $endpoint AS endpoint, *, 'rejected' AS state"
                " FROM rows_in",
                source,
                versions,
            )

    def _choose_winners(self, source: Source, incoming: pl.DataFrame) -> None:
        """`incoming`, and of it `winners`; `replaces` is the row of `meta.versions` that stood until then, NULL where none did."""
        self._run("CREATE OR REPLACE TEMP TABLE incoming AS FROM rows_in", source, incoming)
        # Looked for by the id alone, and nothing else read but of what was found: mostly nothing.
        self._run(
            "CREATE OR REPLACE TEMP TABLE standing AS"
            " SELECT rowid AS row, entity_id, finality, fetched_at, payload_sha256 FROM meta.versions WHERE rowid IN ("
            "SELECT rowid FROM meta.versions WHERE provider = $provider AND endpoint = $endpoint AND state = 'loaded'"
            f" AND entity_id IN (SELECT entity_id FROM incoming WHERE {few('entity_id')}))",
            source,
        )
        if source.keeps_history:  # all of it stands; the same version once more says nothing new
            winners = "NULL AS replaces FROM incoming i ANTI JOIN standing USING (entity_id, fetched_at, payload_sha256)"
        else:  # newest observation wins; a final state never goes back to running; ties by hash so that order does not matter
            winners = (
                "c.row AS replaces FROM incoming i LEFT JOIN standing c USING (entity_id) WHERE c.entity_id IS NULL OR"
                " (i.finality, i.fetched_at, i.payload_sha256) > (c.finality, c.fetched_at, c.payload_sha256)"
            )
        self._run(f"CREATE OR REPLACE TEMP TABLE winners AS SELECT i.*, {winners}", source)

    def _note_versions(self, source: Source) -> None:
        self._run(
            "INSERT INTO meta.versions BY NAME SELECT $provider AS provider, $endpoint AS endpoint, i.*,"
            " CASE WHEN w.entity_id IS NULL THEN 'superseded' ELSE 'loaded' END AS state"
            " FROM incoming i LEFT JOIN winners w USING (entity_id)",
            source,
        )

    def _remove_replaced(self, source: Source) -> None:
        replaced = "SELECT entity_id FROM winners WHERE replaces IS NOT NULL"
        mine = f"provider = $provider AND endpoint = $endpoint AND entity_id IN ({replaced})"
        self._run("UPDATE meta.versions SET state = 'superseded' WHERE rowid IN (SELECT replaces FROM winners)", source)
        schema = "stage" if source.is_summary else "core"
        for key, owners in (("result_key", "results"), ("run_key", "runs")):
            self._run(f"CREATE OR REPLACE TEMP TABLE old_{owners} AS SELECT {key}, rowid AS row FROM stage.{owners} WHERE {mine}", source)
            if self._count(f"old_{owners}"):
                self.connection.execute(f"INSERT INTO noted_{owners} SELECT {key} FROM old_{owners}")
                for name in (name for name, table in CHILDREN.items() if table.owner == key):
                    self._run(f"DELETE FROM {schema}.{name} WHERE endpoint = $origin AND {key} IN (SELECT {key} FROM old_{owners})", source)
                self.connection.execute(f"DELETE FROM stage.{owners} WHERE rowid IN (SELECT row FROM old_{owners})")
        self._run(f"INSERT INTO touched_sightings SELECT {PLACE} FROM stage.sightings WHERE {mine}", source)
        for staged in ("sightings", "drift"):
            self._run(f"DELETE FROM stage.{staged} WHERE {mine}", source)
        self._run(f"DELETE FROM meta.rejects WHERE scope = 'row' AND {mine}", source)

    def _count(self, rows: str) -> int:
        row = self.connection.execute(f"SELECT count(*) FROM {rows}").fetchone()
        return int(row[0]) if row else 0

    def _insert(self, source: Source, name: str, frame: pl.DataFrame) -> None:
        if name == "results":
            self._run(
                "INSERT INTO stage.results BY NAME SELECT r.*, w.payload_sha256, w.fetched_at, $provider AS provider,"
                " $endpoint AS endpoint, $summary AS is_summary, r.started_at::DATE AS utc_date"
                " FROM rows_in r JOIN winners w USING (entity_id)",
                source,
                frame,
                summary=source.is_summary,
            )
            touched, keys = "INSERT INTO noted_results SELECT result_key", frame.select("entity_id", "result_key")
            self._run(f"{touched} FROM rows_in SEMI JOIN winners USING (entity_id)", source, keys)
        elif name == "runs":
            self._run(
                "INSERT INTO stage.runs BY NAME SELECT r.*, w.payload_sha256, w.fetched_at, $provider AS provider,"
                " $endpoint AS endpoint, $summary AS is_summary FROM rows_in r JOIN winners w USING (entity_id)",
                source,
                frame,
                summary=source.is_summary,
            )
            touched, keys = "INSERT INTO noted_runs SELECT run_key", frame.select("entity_id", "run_key")
            self._run(f"{touched} FROM rows_in SEMI JOIN winners USING (entity_id)", source, keys)
        elif name == "sightings":
            self._run(
                "INSERT INTO stage.sightings BY NAME SELECT r.*, $provider AS provider, $endpoint AS endpoint,"
                f" hash({_SAID}) AS said"
                " FROM rows_in r SEMI JOIN winners USING (entity_id)",
                source,
                frame,
            )
            self._run(
                "INSERT INTO touched_sightings BY NAME SELECT $provider AS provider, $endpoint AS endpoint, * EXCLUDE (entity_id)"
                " FROM rows_in SEMI JOIN winners USING (entity_id)",
                source,
                frame.select("entity_id", "test_id", "origin", "observed_at").unique(),
            )
        else:
            schema = "stage" if source.is_summary else "core"
            derived = "".join(f", {sql} AS {column}" for column, sql in _DERIVED_AT_INSERT.get(name, {}).items())
            self._run(
                f"INSERT INTO {schema}.{name} BY NAME SELECT r.* EXCLUDE (entity_id), $provider AS provider, $origin AS endpoint{derived}"
                " FROM rows_in r SEMI JOIN winners USING (entity_id)",
                source,
                frame,
            )

    def _run(self, sql: str, source: Source, rows_in: pl.DataFrame | None = None, **more: object) -> None:
        if rows_in is not None:
            hand_over(self.connection, rows_in)
        values = {"provider": source.provider, "endpoint": source.endpoint, "origin": source.origin, **more}
        self.connection.execute(sql, {name: value for name, value in values.items() if f"${name}" in sql})


@dataclass(frozen=True)
class LedgerRow:
    """One raw file that was loaded."""

    load_id: str
    provider: str
    endpoint: str
    raw_file: str
    payloads: int
    loaded_at: datetime


def write_ledger(connection: duckdb.DuckDBPyConnection, files: Sequence[LedgerRow]) -> None:
    """Write one row per loaded file, and bring loaded, superseded and rejected up to date with `meta.versions`, in other files too."""
    frame = pl.DataFrame(files, schema_overrides={"loaded_at": pl.Datetime("us", "UTC")}, orient="row")
    hand_over(connection, frame)
    connection.execute("INSERT INTO meta.loads BY NAME SELECT *, 0 AS loaded, 0 AS superseded, 0 AS rejected FROM rows_in")
    connection.execute(
        "UPDATE meta.loads l SET loaded = c.loaded, superseded = c.superseded, rejected = c.rejected FROM ("
        " SELECT raw_file, count(*) FILTER (state = 'loaded') AS loaded, count(*) FILTER (state = 'superseded') AS superseded,"
        " count(*) FILTER (state = 'rejected') AS rejected FROM meta.versions GROUP BY raw_file) c"
        " WHERE l.raw_file = c.raw_file AND (l.loaded, l.superseded, l.rejected) IS DISTINCT FROM"
        " (c.loaded, c.superseded, c.rejected)"
    )


def loaded_files(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Raw files in the ledger."""
    return {row[0] for row in connection.execute("SELECT raw_file FROM meta.loads").fetchall()}


def is_unfinished(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a first load ended before its ledger was written: there are payload versions and no ledger."""
    found = connection.execute("SELECT 1 FROM meta.versions WHERE NOT EXISTS (FROM meta.loads) LIMIT 1").fetchone()
    return found is not None


def _bound_memory(connection: duckdb.DuckDBPyConnection, megabytes: int | None) -> None:
    """While much is written: above this DuckDB writes to disk, and nothing that was committed is put into the file unasked."""
    connection.execute("RESET memory_limit" if megabytes is None else f"SET memory_limit = '{megabytes}MB'")
    if megabytes is None:  # RESET changes what is said and not what holds (DuckDB 1.5.5)
        row = connection.execute("SELECT current_setting('memory_limit')").fetchone()
        connection.execute(f"SET memory_limit = '{row[0] if row else ''}'")
    connection.execute("SET checkpoint_threshold = '256MB'")
    connection.execute("RESET preserve_insertion_order" if megabytes is None else "SET preserve_insertion_order = false")


def within_memory(connection: duckdb.DuckDBPyConnection, step: Callable[[], object], bounds: Sequence[int]) -> None:
    """Take a step, which can be taken again, within a bound (MB), then where that is too little within the next one, at last without any.

    Not everything can be put on disk: an aggregate, the first rows of many tables. A bound below what is held is refused.
    """
    for megabytes, more in pairwise((*bounds, None)):
        with suppress(duckdb.OutOfMemoryException):
            _bound_memory(connection, megabytes)
            step()
            break
        try:
            _bound_memory(connection, more)
        except duckdb.OutOfMemoryException:
            _bound_memory(connection, None)
        connection.execute("CHECKPOINT")  # what was committed need not be held
    else:
        _bound_memory(connection, None)
        step()
    _bound_memory(connection, None)
