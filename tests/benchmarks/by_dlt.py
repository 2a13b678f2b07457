"""A peer: dlt normalises nested documents into tables of its own, SQL makes ours from them.

    python -m tests.benchmarks.by_dlt LAKE FILE [--projected]

Its best settings as its documentation names them: Parquet files, pages instead of single documents, large buffers, files that several
normaliser processes share, no telemetry. Numbers that come as whole and as broken ones are declared as double, so that no variant columns
arise; what is JSON in our tables goes in as JSON text. `--projected`: only the fields that are needed, decoded by msgspec before.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dlt
import duckdb
import orjson
from msgspec import to_builtins
from msgspec.json import Decoder

from tests.benchmarks.by_duckdb import key
from tests.benchmarks.by_msgspec import BrowserResult, SessionResult
from tests.benchmarks.by_orjson import headers as whole_headers
from tests.benchmarks.by_orjson import plain as whole_plain
from tests.benchmarks.tables import BROWSER, SESSION, TABLES, TRIES, create, rows

_WORKERS = str(os.cpu_count() or 1)
SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
    "DATA_WRITER__FILE_MAX_ITEMS": "20000",
    "NORMALIZE__WORKERS": _WORKERS,
    "NORMALIZE__START_METHOD": "spawn",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "EXTRACT__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "LOAD__WORKERS": _WORKERS,
    "LOAD__DELETE_COMPLETED_JOBS": "true",
}
"""dlt's own, read from the environment."""

Document = dict[str, Any]
_DOUBLES = r"re:^(check_time|.*duration|time|lcp|cls|value|response_time|time_to_interactive|.*timing.*__.*|on_load|on_content_load)$"
_ASSERTING = ("apiCheckResult", "sslCheckResult", "grpcCheckResult", "tracerouteCheckResult", "agenticCheckResult")
_BROWSER, _SESSION = Decoder(BrowserResult), Decoder(SessionResult)


def whole_browser(payload: str) -> Document:
    """All of a browser result."""
    document: Document = orjson.loads(payload)
    return document


def whole_session(payload: str) -> Document:
    """All of a session result; texts where our tables have JSON or plain values."""
    document: Document = orjson.loads(payload)
    for name in _ASSERTING:
        for item in (document.get(name) or {}).get("assertions") or ():
            for field in {"target", "actual", "expected"} & item.keys():
                item[field] = whole_plain(item[field])
    api = document.get("apiCheckResult") or {}
    for side in (api.get("request"), api.get("response")):
        if side:
            side["headers"] = whole_headers(side.get("headers"))
    answer = (document.get("grpcCheckResult") or {}).get("response")
    if answer:
        answer["metadata"] = whole_headers(answer.get("metadata"))
    job_log = api.get("jobLog")
    if job_log:
        api["jobLog"] = [{**line, "phase": phase} for phase, lines in job_log.items() for line in lines]
    return document


def projected_browser(payload: str) -> Document:
    """What is needed of a browser result."""
    document: Document = to_builtins(_BROWSER.decode(payload))
    return document


def projected_session(payload: str) -> Document:
    """What is needed of a session result."""
    document: Document = to_builtins(_SESSION.decode(payload), builtin_types=(datetime,), enc_hook=_json_text)
    for name in _ASSERTING:
        for item in document.get(name, {}).get("assertions", ()):
            for field in {"target", "actual", "expected"} & item.keys():
                item[field] = whole_plain(orjson.loads(item[field]))
    api = document.get("apiCheckResult", {})
    if "jobLog" in api:
        api["jobLog"] = [{**line, "phase": phase} for phase, lines in api["jobLog"].items() for line in lines]
    return document


def _json_text(value: Any) -> str:
    """What msgspec has left as it came."""
    return bytes(value).decode()


def pages(lake: Path, place: str, read: Callable[[str], Document]) -> Iterator[list[Document]]:
    """Documents with the columns of their raw row, a page per batch."""
    for batch in rows(lake, place):
        page = []
        for raw in batch.to_pylist():
            payload = raw.pop("payload")
            page.append({**read(payload), **{f"raw_{name}": value for name, value in raw.items()}})
        yield page


@dlt.source(name="landed", max_table_nesting=10)
def landed(lake: Path, projected: bool) -> Any:
    """Both endpoints."""
    readers = (projected_browser, projected_session) if projected else (whole_browser, whole_session)
    for place, name, read in zip((BROWSER, SESSION), ("browser", "session"), readers, strict=True):
        yield dlt.resource(pages(lake, place, read), name=name, write_disposition="append")


_TEXT = "VARCHAR"
_STEP_COLUMNS = {
    "step_id": _TEXT, "description": _TEXT, "type": _TEXT, "skipped": "BOOLEAN", "duration": "DOUBLE", "url": _TEXT, "error": _TEXT,
    "failure__code": _TEXT, "failure__message": _TEXT,
}  # fmt: skip
_STEPS = tuple("browser__result__step_details" + "__sub_test_step_details" * depth for depth in range(3))
_PHASES = ("wait", "dns", "tcp", "connect", "first_byte", "download", "total")
_OFFSETS = ("socket", "lookup", "connect", "response", "end")
_VITALS = ("cls", "fcp", "lcp", "tbt", "ttfb")
_SCRIPTS = ("browser", "multi_step", "playwright", "agentic")
_PROBES = ("ssl", "grpc", "traceroute")
NEEDED: dict[str, dict[str, str]] = {
    "browser": {
        "batch_id": _TEXT, "probe_dc": _TEXT, "device_id": _TEXT,
        **{f"result__{name}": _TEXT for name in ("event_type", "error", "failure__code", "failure__message", "initial_result_id",
           "browser_type", "browser_version", "device__id", "device__name", "device__browser")},
        "result__passed": "BOOLEAN", "result__duration": "DOUBLE", "result__time_to_interactive": "DOUBLE",
        "result__device__width": "BIGINT", "result__device__height": "BIGINT",
    },
    **dict.fromkeys(_STEPS, _STEP_COLUMNS),
    **{f"{table}__vitals_metrics": {"url": _TEXT, "lcp": "DOUBLE", "cls": "DOUBLE"} for table in _STEPS},
    "session": {
        **dict.fromkeys(("check_id", "check_type", "name", "file_path", "run_location", "private_location_id", "result_type"), _TEXT),
        **dict.fromkeys(("status", "sequence_id", "trace_id", "test_session_result_link"), _TEXT),
        **dict.fromkeys(("has_errors", "has_failures", "is_degraded", "aborted", "is_cancelled"), "BOOLEAN"),
        "started_at": "TIMESTAMPTZ", "stopped_at": "TIMESTAMPTZ", "response_time": "DOUBLE",
        **{f"api_check_result__{name}": _TEXT for name in ("request_error", "request__method", "request__url", "request__headers",
           "response__body", "response__headers")},
        "api_check_result__response__status": "BIGINT",
        **{f"api_check_result__response__timing_phases__{name}": "DOUBLE" for name in _PHASES},
        **{f"api_check_result__response__timings__{name}": "DOUBLE" for name in _OFFSETS},
        **{f"{probe}_check_result__{name}": _TEXT for probe in _PROBES for name in ("request_error", "request__url")},
        **{f"{probe}_check_result__timing_phases__{name}": "DOUBLE" for probe in _PROBES[1:] for name in _PHASES},
        **{f"grpc_check_result__response__{name}": _TEXT for name in ("grpc_method", "metadata", "response_message")},
    },
    **{
        f"session__{block}_check_result__assertions": dict.fromkeys(
            ("source", "property", "comparison", "target", "actual", "error"), _TEXT
        )
        for block in ("api", *_PROBES)
    },
    "session__agentic_check_result__assertions": {"condition": _TEXT, "passed": "BOOLEAN", "actual": _TEXT, "expected": _TEXT},
    "session__agentic_check_result__steps": {
        "type": _TEXT, "name": _TEXT, "output": _TEXT, "timestamp": "TIMESTAMPTZ", "sequence_number": "BIGINT",
    },
    **{
        f"session__{block}_check_result__job_log": {"time": "DOUBLE", "msg": _TEXT, "level": _TEXT, "phase": _TEXT}
        for block in ("api", *_SCRIPTS)
    },
    "session__browser_check_result__pages": {
        "url": _TEXT, "page_timings__on_load": "DOUBLE", "page_timings__on_content_load": "DOUBLE",
        **{f"web_vitals__{name}__value": "DOUBLE" for name in _VITALS}, **{f"web_vitals__{name}__score": _TEXT for name in _VITALS},
    },
}  # fmt: skip
"""dlt's tables and columns that the SQL reads: those that no document filled are made before."""


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables and columns that no document filled."""
    for table, columns in NEEDED.items():
        parent = "" if table in ("browser", "session") else "_dlt_parent_id VARCHAR, _dlt_list_idx BIGINT, "
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({parent}_dlt_id VARCHAR)")
        there = {row[0] for row in connection.execute("SELECT column_name FROM (DESCRIBE FROM " + table + ")").fetchall()}
        for column, kind in columns.items():
            if column not in there:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")


def _of(table: str) -> str:
    """FROM a nested table with the key of the payload that its rows belong to."""
    return f"{table} c JOIN session_keys k ON k._dlt_id = c._dlt_parent_id"


def _all(parts: Iterator[str]) -> str:
    return "\nUNION ALL BY NAME ".join(parts)


_STEP_NAMES = ", ".join(f"s.{name}" for name in ("_dlt_id", *_STEP_COLUMNS))
_PARENTS = (
    "browser_keys p",
    f"{_STEPS[0]} o JOIN browser_keys p ON p._dlt_id = o._dlt_parent_id",
    f"{_STEPS[1]} t JOIN {_STEPS[0]} o ON o._dlt_id = t._dlt_parent_id JOIN browser_keys p ON p._dlt_id = o._dlt_parent_id",
)
_PLACES = (
    "s._dlt_list_idx AS a, -1 AS b, -1 AS c",
    "o._dlt_list_idx AS a, s._dlt_list_idx AS b, -1 AS c",
    "o._dlt_list_idx AS a, t._dlt_list_idx AS b, s._dlt_list_idx AS c",
)
_WALK = " UNION ALL ".join(
    f"SELECT result_key, {place}, {_STEP_NAMES} FROM {parent} JOIN {table} s ON s._dlt_parent_id = {owner}._dlt_id"
    for table, parent, place, owner in zip(_STEPS, _PARENTS, _PLACES, "pot", strict=True)
)
_OUTCOME = """CASE WHEN status = 'RUNNING' OR result_type = 'PENDING' THEN 'running'
         WHEN is_cancelled OR status = 'CANCELLED' THEN 'cancelled' WHEN aborted THEN 'aborted'
         WHEN has_errors OR has_failures OR status = 'FAILED' THEN 'failed' WHEN is_degraded THEN 'degraded'
         WHEN status = 'PASSED' THEN 'passed' ELSE 'unknown' END"""
_RAW_PHASE = {"first_byte": "firstByte"}


def _measures(prefix: str, names: tuple[str, ...], measure: str) -> str:
    listed = [f"('{name}', '{_RAW_PHASE.get(name, name)}', {prefix}__{name})" for name in names]
    return (
        f"SELECT result_key, t.phase, t.phase_raw, t.value AS {measure} FROM session JOIN session_keys USING (_dlt_id),"
        f" LATERAL (VALUES {', '.join(listed)}) t(phase, phase_raw, value) WHERE t.value >= 0"
    )


def _probe(name: str, method: str, metadata: str, message: str) -> str:
    url = f"{name}_check_result__request__url"
    return f"""SELECT result_key, nullif({method}, '') AS method, nullif({url}, '') AS url, {metadata} AS response_headers,
    nullif({message}, '') AS response_body FROM session JOIN session_keys USING (_dlt_id) WHERE coalesce({url}, {method}) IS NOT NULL"""


SQL = f"""
CREATE TEMP TABLE browser_keys AS SELECT _dlt_id, {key("'datadog'", "raw_entity_id", "'1'")} AS result_key FROM browser;
CREATE TEMP TABLE session_keys AS SELECT _dlt_id, {key("'checkly'", "raw_entity_id", "'1'")} AS result_key FROM session;
CREATE TEMP TABLE walked AS
SELECT *, CASE WHEN c >= 0 THEN max(step_index) FILTER (c < 0) OVER (PARTITION BY result_key, a, b)
     WHEN b >= 0 THEN max(step_index) FILTER (b < 0) OVER (PARTITION BY result_key, a) END AS parent_step_index
FROM (SELECT *, row_number() OVER (PARTITION BY result_key ORDER BY a, b, c) - 1 AS step_index FROM ({_WALK}));
INSERT INTO core.steps BY NAME
SELECT result_key, 'datadog' AS provider, step_index, parent_step_index, step_id, description AS name, type AS kind,
    coalesce(nullif(failure__message, ''), nullif(error, '')) AS error_message,
    CASE WHEN skipped THEN 'skipped' WHEN error_message IS NOT NULL OR failure__code IS NOT NULL THEN 'failed' ELSE 'passed' END AS outcome,
    CASE WHEN NOT coalesce(skipped, false) THEN duration END AS duration_ms, url
FROM walked;
INSERT INTO core.page_vitals BY NAME
WITH pages AS (
    SELECT result_key, v.url, v.lcp, v.cls,
        row_number() OVER (PARTITION BY result_key ORDER BY step_index, v._dlt_list_idx) - 1 AS page_index
    FROM walked w JOIN ({_all(f"SELECT _dlt_parent_id, _dlt_list_idx, url, lcp, cls FROM {table}__vitals_metrics" for table in _STEPS)}) v
        ON v._dlt_parent_id = w._dlt_id
)
SELECT result_key, 'datadog' AS provider, page_index, metric, url AS page_url, value FROM (
    SELECT result_key, page_index, url, unnest(['lcp', 'cls']) AS metric, unnest([lcp, cls]) AS value FROM pages
    UNION ALL SELECT result_key, -1, NULL, 'time_to_interactive', result__time_to_interactive
    FROM browser JOIN browser_keys USING (_dlt_id)
) WHERE value IS NOT NULL;
INSERT INTO core.steps BY NAME
SELECT result_key, 'checkly' AS provider, _dlt_list_idx AS step_index, sequence_number AS step_id, name, type AS kind,
    'unknown' AS outcome, timestamp AS started_at, output AS result_text
FROM {_of("session__agentic_check_result__steps")};
INSERT INTO core.assertions BY NAME
SELECT result_key, 'checkly' AS provider, row_number() OVER (PARTITION BY result_key ORDER BY block, place) - 1 AS assertion_index,
    -1 AS step_index, source, nullif(property, '') AS property, comparison AS operator, target, actual,
    nullif(error, '') AS error_message,
    CASE WHEN error_message IS NOT NULL THEN 'failed' WHEN nullif(request_error, '') IS NOT NULL THEN 'skipped'
         WHEN coalesce(source, comparison) IS NOT NULL THEN 'passed' ELSE 'unknown' END AS outcome
FROM ({
    _all(
        f"SELECT k.result_key, {place} AS block, c._dlt_list_idx AS place, s.{block}_check_result__request_error AS request_error,"
        f" c.source, c.property, c.comparison, c.target, c.actual, c.error FROM {_of(f'session__{block}_check_result__assertions')}"
        " JOIN session s ON s._dlt_id = k._dlt_id"
        for place, block in enumerate(("api", *_PROBES))
    )
})
UNION ALL BY NAME
SELECT result_key, 'checkly' AS provider, _dlt_list_idx AS assertion_index, -1 AS step_index, 'agentic' AS source,
    condition AS property, expected AS target, actual,
    CASE WHEN passed THEN 'passed' WHEN NOT passed THEN 'failed' ELSE 'unknown' END AS outcome
FROM {_of("session__agentic_check_result__assertions")};
INSERT INTO core.timings BY NAME
SELECT 'checkly' AS provider, -1 AS step_index, phase = 'total' AS is_total, * FROM (
    {_measures("api_check_result__response__timing_phases", _PHASES, "duration_ms")}
    UNION ALL BY NAME {_measures("grpc_check_result__timing_phases", _PHASES, "duration_ms")}
    UNION ALL BY NAME {_measures("traceroute_check_result__timing_phases", _PHASES, "duration_ms")}
    UNION ALL BY NAME {_measures("api_check_result__response__timings", _OFFSETS, "offset_ms")}
);
INSERT INTO core.page_vitals BY NAME
SELECT result_key, 'checkly' AS provider, _dlt_list_idx AS page_index, v.metric, url AS page_url, v.value, lower(v.score) AS score
FROM {_of("session__browser_check_result__pages")}, LATERAL (VALUES
    {", ".join(f"('{name}', web_vitals__{name}__value, web_vitals__{name}__score)" for name in _VITALS)},
    ('on_load', page_timings__on_load, NULL), ('on_content_load', page_timings__on_content_load, NULL)) v(metric, value, score)
WHERE v.value IS NOT NULL OR v.score IS NOT NULL;
INSERT INTO core.logs BY NAME
SELECT result_key, 'checkly' AS provider, _dlt_list_idx AS log_index, phase,
    make_timestamp((time * 1000)::BIGINT)::TIMESTAMPTZ AS logged_at, level, msg AS message
FROM ({
    _all(
        f"SELECT k.result_key, c._dlt_list_idx, c.phase, c.time, c.level, c.msg FROM {_of(f'session__{block}_check_result__job_log')}"
        for block in ("api", *_SCRIPTS)
    )
});
INSERT INTO core.exchanges BY NAME
SELECT 'checkly' AS provider, 0 AS exchange_index, -1 AS step_index, * FROM (
    SELECT result_key, api_check_result__request__method AS method, api_check_result__request__url AS url,
        nullif(api_check_result__response__status, 0) AS status_code,
        nullif(api_check_result__request__headers, 'null') AS request_headers,
        nullif(api_check_result__response__headers, 'null') AS response_headers,
        CASE WHEN status_code IS NOT NULL THEN api_check_result__response__body
             ELSE nullif(api_check_result__response__body, '') END AS response_body
    FROM session JOIN session_keys USING (_dlt_id)
    WHERE coalesce(api_check_result__request__url, api_check_result__request__method) IS NOT NULL
        OR api_check_result__response__status IS NOT NULL
    UNION ALL BY NAME {
    _probe(
        "grpc",
        "grpc_check_result__response__grpc_method",
        "nullif(grpc_check_result__response__metadata, 'null')",
        "grpc_check_result__response__response_message",
    )
}
    UNION ALL BY NAME {_probe("ssl", "NULL", "NULL", "NULL")}
    UNION ALL BY NAME {_probe("traceroute", "NULL", "NULL", "NULL")}
);
CREATE TEMP TABLE results_in AS
SELECT result_key, 'datadog' AS provider, raw_entity_id AS result_id, 1 AS attempt,
    coalesce(nullif(result__initial_result_id, ''), raw_entity_id) AS execution_id, NULL::VARCHAR AS try_kind, NULL::BIGINT AS run_key,
    batch_id AS run_id, raw_parent_id AS test_id, 'browser' AS test_type, probe_dc AS location,
    CASE WHEN starts_with(probe_dc, 'pl:') THEN probe_dc END AS private_location_id,
    coalesce(result__device__name, result__device__id, device_id) AS device,
    coalesce(result__browser_type, result__device__browser,
        nullif(split_part(coalesce(result__device__id, device_id), '.', 1), '')) AS browser,
    result__browser_version AS browser_version, result__device__width AS viewport_width, result__device__height AS viewport_height,
    result__event_type AS status,
    CASE WHEN result__event_type IN ('not_scheduled', 'scheduled') THEN 'running'
         WHEN result__passed THEN 'passed' WHEN NOT result__passed THEN 'failed'
         WHEN result__failure__code IS NOT NULL OR nullif(result__failure__message, '') IS NOT NULL
              OR nullif(result__error, '') IS NOT NULL OR result__event_type = 'finished_with_error' THEN 'failed'
         WHEN result__event_type = 'finished' THEN 'passed' ELSE 'unknown' END AS outcome,
    outcome <> 'running' AS is_terminal, NULL::BOOLEAN AS is_degraded, NULL::BOOLEAN AS is_cancelled, NULL::BOOLEAN AS is_aborted,
    NULL::BOOLEAN AS has_errors, NULL::BOOLEAN AS has_failures, make_timestamp((check_time * 1000)::BIGINT)::TIMESTAMPTZ AS started_at,
    NULL::TIMESTAMPTZ AS ended_at, result__duration AS duration_ms, NULL::DOUBLE AS response_time_ms, started_at::DATE AS utc_date,
    NULL::BIGINT AS http_status_code, NULL::VARCHAR AS trace_id, NULL::VARCHAR AS url, raw_payload_sha256 AS payload_sha256,
    raw_fetched_at AS fetched_at
FROM browser JOIN browser_keys USING (_dlt_id)
UNION ALL BY NAME
SELECT result_key, 'checkly' AS provider, raw_entity_id AS result_id, 1 AS attempt,
    coalesce(raw_parent_id || '/' || sequence_id, raw_entity_id) AS execution_id, lower(result_type) AS try_kind,
    {key("'checkly'", "raw_parent_id")} AS run_key, raw_parent_id AS run_id,
    coalesce(nullif(check_id, ''), 'name:' || coalesce(file_path, '') || '::' || coalesce(name, '')) AS test_id,
    lower(check_type) AS test_type, run_location AS location, private_location_id, status, {_OUTCOME} AS outcome,
    outcome <> 'running' AS is_terminal, is_degraded, is_cancelled, aborted AS is_aborted, has_errors, has_failures, started_at,
    stopped_at AS ended_at, CASE WHEN stopped_at >= started_at THEN (epoch_us(stopped_at) - epoch_us(started_at)) / 1000 END AS duration_ms,
    response_time AS response_time_ms, started_at::DATE AS utc_date, nullif(api_check_result__response__status, 0) AS http_status_code,
    trace_id, test_session_result_link AS url, raw_payload_sha256 AS payload_sha256, raw_fetched_at AS fetched_at
FROM session JOIN session_keys USING (_dlt_id);
INSERT INTO core.results BY NAME SELECT {", ".join(TABLES["results"])} FROM (SELECT *, {TRIES} FROM results_in);
DROP SCHEMA landed CASCADE;
"""


def main(lake: Path, out: Path, *, projected: bool) -> None:
    """Read a lake, write a DuckDB file."""
    os.environ.update(SETTINGS)
    with TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("benchmark", pipelines_dir=folder, destination=dlt.destinations.duckdb(str(out)), dataset_name="landed")
        source = landed(lake, projected)
        source.schema.update_preferred_types({_DOUBLES: "double"})
        pipeline.run(source, loader_file_format="parquet").raise_on_failed_jobs()
    connection = create(out)
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET search_path = 'landed'")
    prepare(connection)
    connection.execute(SQL)
    connection.execute("CHECKPOINT")
    connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), projected="--projected" in sys.argv)
