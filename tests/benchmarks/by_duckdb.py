"""A peer: DuckDB's SQL alone. One `json_transform` per payload into a temporary table, all else read from that."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.tables import BROWSER, SESSION, TABLES, TRIES, create, files

_STEP: dict[str, Any] = {
    "stepId": "VARCHAR", "description": "VARCHAR", "type": "VARCHAR", "skipped": "BOOLEAN", "duration": "DOUBLE", "url": "VARCHAR",
    "error": "VARCHAR", "failure": {"code": "VARCHAR", "message": "VARCHAR"},
    "vitalsMetrics": [{"url": "VARCHAR", "lcp": "DOUBLE", "cls": "DOUBLE"}],
}  # fmt: skip
_STEPS = [{**_STEP, "subTestStepDetails": [{**_STEP, "subTestStepDetails": [_STEP]}]}]
BROWSER_RESULT: dict[str, Any] = {
    "check_time": "DOUBLE", "probe_dc": "VARCHAR", "device_id": "VARCHAR", "batch_id": "VARCHAR",
    "result": {
        "eventType": "VARCHAR", "passed": "BOOLEAN", "error": "VARCHAR", "failure": {"code": "VARCHAR", "message": "VARCHAR"},
        "initialResultID": "VARCHAR", "browserType": "VARCHAR", "browserVersion": "VARCHAR", "duration": "DOUBLE",
        "timeToInteractive": "DOUBLE",
        "device": {"id": "VARCHAR", "name": "VARCHAR", "browser": "VARCHAR", "width": "BIGINT", "height": "BIGINT"},
        "stepDetails": _STEPS,
    },
}  # fmt: skip

_ASSERTIONS = [
    {"source": "VARCHAR", "property": "VARCHAR", "comparison": "VARCHAR", "target": "JSON", "actual": "JSON", "error": "VARCHAR"}
]
_LINES = [{"time": "DOUBLE", "msg": "VARCHAR", "level": "VARCHAR"}]
_SCRIPT = {"jobLog": _LINES}
_PHASES = dict.fromkeys(("wait", "dns", "tcp", "connect", "firstByte", "download", "total"), "DOUBLE")
_VITAL = {"value": "DOUBLE", "score": "VARCHAR"}
SESSION_RESULT: dict[str, Any] = {
    "checkId": "VARCHAR", "checkType": "VARCHAR", "name": "VARCHAR", "filePath": "VARCHAR", "runLocation": "VARCHAR",
    "privateLocationId": "VARCHAR", "resultType": "VARCHAR", "status": "VARCHAR", "hasErrors": "BOOLEAN", "hasFailures": "BOOLEAN",
    "isDegraded": "BOOLEAN", "aborted": "BOOLEAN", "isCancelled": "BOOLEAN", "responseTime": "DOUBLE", "startedAt": "TIMESTAMPTZ",
    "stoppedAt": "TIMESTAMPTZ", "sequenceId": "VARCHAR", "traceId": "VARCHAR", "testSessionResultLink": "VARCHAR",
    "apiCheckResult": {
        "assertions": _ASSERTIONS, "requestError": "VARCHAR",
        "request": {"method": "VARCHAR", "url": "VARCHAR", "headers": "JSON"},
        "response": {
            "status": "BIGINT", "body": "VARCHAR", "headers": "JSON", "timingPhases": _PHASES,
            "timings": dict.fromkeys(("socket", "lookup", "connect", "response", "end"), "DOUBLE"),
        },
        "jobLog": {"setup": _LINES, "request": _LINES, "teardown": _LINES},
    },
    "browserCheckResult": {
        **_SCRIPT,
        "pages": [
            {
                "url": "VARCHAR", "webVitals": dict.fromkeys(("CLS", "FCP", "LCP", "TBT", "TTFB"), _VITAL),
                "pageTimings": {"onContentLoad": "DOUBLE", "onLoad": "DOUBLE"},
            }
        ],
    },
    "multiStepCheckResult": _SCRIPT,
    "playwrightCheckResult": _SCRIPT,
    "agenticCheckResult": {
        **_SCRIPT,
        "assertions": [{"condition": "VARCHAR", "passed": "BOOLEAN", "actual": "JSON", "expected": "JSON"}],
        "steps": [{"type": "VARCHAR", "name": "VARCHAR", "output": "VARCHAR", "timestamp": "TIMESTAMPTZ", "sequenceNumber": "VARCHAR"}],
    },
    "sslCheckResult": {"assertions": _ASSERTIONS, "requestError": "VARCHAR", "request": {"url": "VARCHAR"}, "response": "JSON"},
    "grpcCheckResult": {
        "assertions": _ASSERTIONS, "requestError": "VARCHAR", "request": {"url": "VARCHAR"}, "timingPhases": _PHASES,
        "response": {"grpcMethod": "VARCHAR", "metadata": "JSON", "responseMessage": "VARCHAR"},
    },
    "tracerouteCheckResult": {
        "assertions": _ASSERTIONS, "requestError": "VARCHAR", "request": {"url": "VARCHAR"}, "timingPhases": _PHASES, "response": "JSON",
    },
}  # fmt: skip


def key(*parts: str) -> str:
    """SQL of the BIGINT key of a result or run."""
    joined = " || chr(31) || ".join(parts)
    return f"(('0x' || substr(md5({joined}), 1, 16))::UBIGINT & 9223372036854775807)::BIGINT"


def load(place: str, name: str, structure: dict[str, Any]) -> str:
    """SQL of the temporary table of an endpoint's decoded payloads."""
    provider = place.partition("/")[0]
    return f"""
CREATE TEMP TABLE {name} AS
SELECT {key(f"'{provider}'", "entity_id", "'1'")} AS result_key, entity_id, parent_id, payload_sha256, fetched_at, d.*
FROM (SELECT * EXCLUDE (payload), json_transform(payload, '{json.dumps(structure)}') AS d
      FROM read_parquet($files, hive_partitioning = false))"""


BROWSER_SQL = f"""
CREATE TEMP TABLE results_in AS
SELECT result_key, 'datadog' AS provider, entity_id AS result_id, 1 AS attempt,
    coalesce(nullif(result.initialResultID, ''), entity_id) AS execution_id, NULL::VARCHAR AS try_kind, NULL::BIGINT AS run_key,
    batch_id AS run_id, parent_id AS test_id, 'browser' AS test_type, probe_dc AS location,
    CASE WHEN starts_with(probe_dc, 'pl:') THEN probe_dc END AS private_location_id,
    coalesce(result.device.name, result.device.id, device_id) AS device,
    coalesce(result.browserType, result.device.browser, nullif(split_part(coalesce(result.device.id, device_id), '.', 1), '')) AS browser,
    result.browserVersion AS browser_version, result.device.width AS viewport_width, result.device.height AS viewport_height,
    result.eventType AS status,
    CASE WHEN result.eventType IN ('not_scheduled', 'scheduled') THEN 'running'
         WHEN result.passed THEN 'passed' WHEN NOT result.passed THEN 'failed'
         WHEN result.failure.code IS NOT NULL OR nullif(result.failure.message, '') IS NOT NULL OR nullif(result.error, '') IS NOT NULL
              OR result.eventType = 'finished_with_error' THEN 'failed'
         WHEN result.eventType = 'finished' THEN 'passed' ELSE 'unknown' END AS outcome,
    outcome <> 'running' AS is_terminal, NULL::BOOLEAN AS is_degraded, NULL::BOOLEAN AS is_cancelled, NULL::BOOLEAN AS is_aborted,
    NULL::BOOLEAN AS has_errors, NULL::BOOLEAN AS has_failures, make_timestamp((check_time * 1000)::BIGINT)::TIMESTAMPTZ AS started_at,
    NULL::TIMESTAMPTZ AS ended_at, result.duration AS duration_ms, NULL::DOUBLE AS response_time_ms, started_at::DATE AS utc_date,
    NULL::BIGINT AS http_status_code, NULL::VARCHAR AS trace_id, NULL::VARCHAR AS url, payload_sha256, fetched_at
FROM browser;
CREATE TEMP TABLE walked AS
WITH one AS (
    SELECT result_key, unnest(result.stepDetails) AS s, generate_subscripts(result.stepDetails, 1) AS a FROM browser
), two AS (
    SELECT result_key, unnest(s.subTestStepDetails) AS s, a, generate_subscripts(s.subTestStepDetails, 1) AS b FROM one
), three AS (
    SELECT result_key, unnest(s.subTestStepDetails) AS s, a, b, generate_subscripts(s.subTestStepDetails, 1) AS c FROM two
), steps AS (
    SELECT result_key, a, 0 AS b, 0 AS c, {", ".join(f"s.{name}" for name in _STEP)} FROM one
    UNION ALL SELECT result_key, a, b, 0, {", ".join(f"s.{name}" for name in _STEP)} FROM two
    UNION ALL SELECT result_key, a, b, c, {", ".join(f"s.{name}" for name in _STEP)} FROM three
)
SELECT *,
    CASE WHEN c > 0 THEN max(step_index) FILTER (c = 0) OVER (PARTITION BY result_key, a, b)
         WHEN b > 0 THEN max(step_index) FILTER (b = 0) OVER (PARTITION BY result_key, a) END AS parent_step_index
FROM (SELECT *, row_number() OVER (PARTITION BY result_key ORDER BY a, b, c) - 1 AS step_index FROM steps);
INSERT INTO core.steps BY NAME
SELECT result_key, 'datadog' AS provider, step_index, parent_step_index, stepId AS step_id, description AS name, type AS kind,
    coalesce(nullif(failure.message, ''), nullif(error, '')) AS error_message,
    CASE WHEN skipped THEN 'skipped' WHEN error_message IS NOT NULL OR failure.code IS NOT NULL THEN 'failed' ELSE 'passed' END AS outcome,
    CASE WHEN NOT coalesce(skipped, false) THEN duration END AS duration_ms, url
FROM walked;
INSERT INTO core.page_vitals BY NAME
WITH pages AS (
    SELECT result_key, v.url, v.lcp, v.cls, row_number() OVER (PARTITION BY result_key ORDER BY step_index, place) - 1 AS page_index
    FROM (SELECT result_key, step_index, unnest(vitalsMetrics) AS v, generate_subscripts(vitalsMetrics, 1) AS place FROM walked)
)
SELECT result_key, 'datadog' AS provider, page_index, metric, url AS page_url, value FROM (
    SELECT *, unnest(['lcp', 'cls']) AS metric, unnest([lcp, cls]) AS value FROM pages
    UNION ALL SELECT result_key, NULL, NULL, NULL, -1, 'time_to_interactive', result.timeToInteractive FROM browser
) WHERE value IS NOT NULL;
"""

_OUTCOME = """CASE WHEN status = 'RUNNING' OR resultType = 'PENDING' THEN 'running'
         WHEN isCancelled OR status = 'CANCELLED' THEN 'cancelled' WHEN aborted THEN 'aborted'
         WHEN hasErrors OR hasFailures OR status = 'FAILED' THEN 'failed' WHEN isDegraded THEN 'degraded'
         WHEN status = 'PASSED' THEN 'passed' ELSE 'unknown' END"""


def _blocks(*names: str) -> str:
    """Assertions of several blocks, one after the other."""
    return " UNION ALL ".join(
        f"SELECT result_key, {place} AS block, {name}.requestError AS request_error, unnest({name}.assertions, recursive := true),"
        f" generate_subscripts({name}.assertions, 1) AS place FROM session"
        for place, name in enumerate(names)
    )


def _measures(struct: str, names: dict[str, str], duration: bool) -> str:
    """Phases of a struct as rows."""
    of = [f"{struct}.{name}" for name in names]
    value = "value, NULL" if duration else "NULL, value"
    return (
        f"SELECT result_key, phase_raw, phase, {value} FROM (SELECT result_key, unnest({list(names)}) AS phase_raw,"
        f" unnest({list(names.values())}) AS phase, unnest([{', '.join(of)}]) AS value FROM session WHERE {struct} IS NOT NULL)"
        " WHERE value >= 0"
    )


_COMMON = {"firstByte": "first_byte"}
_DURATIONS = {name: _COMMON.get(name, name) for name in _PHASES}
_OFFSETS = {name: name for name in ("socket", "lookup", "connect", "response", "end")}
_VITALS = ("CLS", "FCP", "LCP", "TBT", "TTFB")
_LOGS = " UNION ALL ".join(
    f"SELECT result_key, {place} AS part, {phase} AS phase, unnest({block}.jobLog{inner}, recursive := true),"
    f" generate_subscripts({block}.jobLog{inner}, 1) AS place FROM session"
    for place, (block, inner, phase) in enumerate(
        [
            *(("apiCheckResult", f".{phase}", f"'{phase}'") for phase in ("setup", "request", "teardown")),
            *((name, "", "NULL") for name in ("browserCheckResult", "multiStepCheckResult", "playwrightCheckResult", "agenticCheckResult")),
        ]
    )
)

SESSION_SQL = f"""
INSERT INTO results_in BY NAME
SELECT result_key, 'checkly' AS provider, entity_id AS result_id, 1 AS attempt,
    coalesce(parent_id || '/' || sequenceId, entity_id) AS execution_id, lower(resultType) AS try_kind,
    {key("'checkly'", "parent_id")} AS run_key, parent_id AS run_id,
    coalesce(nullif(checkId, ''), 'name:' || coalesce(filePath, '') || '::' || coalesce(name, '')) AS test_id,
    lower(checkType) AS test_type, runLocation AS location, privateLocationId AS private_location_id, status,
    {_OUTCOME} AS outcome, outcome <> 'running' AS is_terminal,
    isDegraded AS is_degraded, isCancelled AS is_cancelled, aborted AS is_aborted, hasErrors AS has_errors, hasFailures AS has_failures,
    startedAt AS started_at, stoppedAt AS ended_at,
    CASE WHEN stoppedAt >= startedAt THEN (epoch_us(stoppedAt) - epoch_us(startedAt)) / 1000 END AS duration_ms,
    responseTime AS response_time_ms, startedAt::DATE AS utc_date, nullif(apiCheckResult.response.status, 0) AS http_status_code,
    traceId AS trace_id, testSessionResultLink AS url, payload_sha256, fetched_at
FROM session;
INSERT INTO core.steps BY NAME
SELECT result_key, 'checkly' AS provider, place - 1 AS step_index, sequenceNumber AS step_id, name, type AS kind, 'unknown' AS outcome,
    timestamp AS started_at, output AS result_text
FROM (SELECT result_key, unnest(agenticCheckResult.steps, recursive := true), generate_subscripts(agenticCheckResult.steps, 1) AS place
      FROM session);
INSERT INTO core.assertions BY NAME
SELECT result_key, 'checkly' AS provider, row_number() OVER (PARTITION BY result_key ORDER BY block, place) - 1 AS assertion_index,
    -1 AS step_index, source, nullif(property, '') AS property, comparison AS operator, target ->> '$' AS target,
    actual ->> '$' AS actual, nullif(error, '') AS error_message,
    CASE WHEN error_message IS NOT NULL THEN 'failed' WHEN nullif(request_error, '') IS NOT NULL THEN 'skipped'
         WHEN coalesce(source, comparison) IS NOT NULL THEN 'passed' ELSE 'unknown' END AS outcome
FROM ({_blocks("apiCheckResult", "sslCheckResult", "grpcCheckResult", "tracerouteCheckResult")})
UNION ALL BY NAME
SELECT result_key, 'checkly' AS provider, place - 1 AS assertion_index, -1 AS step_index, 'agentic' AS source, condition AS property,
    expected ->> '$' AS target, actual ->> '$' AS actual, CASE WHEN passed THEN 'passed' WHEN NOT passed THEN 'failed' ELSE 'unknown' END
    AS outcome
FROM (SELECT result_key, unnest(agenticCheckResult.assertions, recursive := true),
          generate_subscripts(agenticCheckResult.assertions, 1) AS place FROM session);
INSERT INTO core.timings BY NAME
SELECT result_key, 'checkly' AS provider, -1 AS step_index, phase, duration_ms, offset_ms, phase_raw = 'total' AS is_total, phase_raw
FROM (
    {_measures("apiCheckResult.response.timingPhases", _DURATIONS, True)}
    UNION ALL {_measures("grpcCheckResult.timingPhases", _DURATIONS, True)}
    UNION ALL {_measures("tracerouteCheckResult.timingPhases", _DURATIONS, True)}
    UNION ALL {_measures("apiCheckResult.response.timings", _OFFSETS, False)}
) t(result_key, phase_raw, phase, duration_ms, offset_ms);
INSERT INTO core.page_vitals BY NAME
SELECT result_key, 'checkly' AS provider, place - 1 AS page_index, metric, url AS page_url, value, lower(score) AS score
FROM (
    SELECT result_key, place, p.url,
        unnest([{", ".join(f"'{name.lower()}'" for name in _VITALS)}, 'on_content_load', 'on_load']) AS metric,
        unnest([{", ".join(f"p.webVitals.{name}.value" for name in _VITALS)}, p.pageTimings.onContentLoad, p.pageTimings.onLoad]) AS value,
        unnest([{", ".join(f"p.webVitals.{name}.score" for name in _VITALS)}, NULL, NULL]) AS score
    FROM (SELECT result_key, unnest(browserCheckResult.pages) AS p, generate_subscripts(browserCheckResult.pages, 1) AS place FROM session)
)
WHERE value IS NOT NULL OR score IS NOT NULL;
INSERT INTO core.logs BY NAME
SELECT result_key, 'checkly' AS provider, row_number() OVER (PARTITION BY result_key ORDER BY part, place) - 1 AS log_index, phase,
    make_timestamp((time * 1000)::BIGINT)::TIMESTAMPTZ AS logged_at, level, msg AS message
FROM ({_LOGS});
INSERT INTO core.exchanges BY NAME
SELECT result_key, 'checkly' AS provider, 0 AS exchange_index, -1 AS step_index, x.request.method AS method, x.request.url AS url,
    nullif(x.response.status, 0) AS status_code, x.request.headers AS request_headers, x.response.headers AS response_headers,
    CASE WHEN status_code IS NOT NULL THEN x.response.body ELSE nullif(x.response.body, '') END AS response_body
FROM (SELECT result_key, apiCheckResult AS x FROM session) WHERE x.request IS NOT NULL OR x.response IS NOT NULL
UNION ALL BY NAME
SELECT result_key, 'checkly' AS provider, 0 AS exchange_index, -1 AS step_index, nullif(x.response.grpcMethod, '') AS method,
    nullif(x.request.url, '') AS url, x.response.metadata AS response_headers, nullif(x.response.responseMessage, '') AS response_body
FROM (SELECT result_key, grpcCheckResult AS x FROM session) WHERE x.request IS NOT NULL OR x.response IS NOT NULL
UNION ALL BY NAME
SELECT result_key, 'checkly' AS provider, 0 AS exchange_index, -1 AS step_index, nullif(x.request.url, '') AS url
FROM (SELECT result_key, sslCheckResult AS x FROM session) WHERE x.request IS NOT NULL OR x.response IS NOT NULL
UNION ALL BY NAME
SELECT result_key, 'checkly' AS provider, 0 AS exchange_index, -1 AS step_index, nullif(x.request.url, '') AS url
FROM (SELECT result_key, tracerouteCheckResult AS x FROM session) WHERE x.request IS NOT NULL OR x.response IS NOT NULL;
"""


def main(lake: Path, out: Path) -> None:
    """Read a lake, write a DuckDB file."""
    connection = create(out)
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(load(BROWSER, "browser", BROWSER_RESULT), {"files": files(lake, BROWSER)})
    connection.execute(BROWSER_SQL)
    connection.execute("DROP TABLE browser; DROP TABLE walked")
    connection.execute(load(SESSION, "session", SESSION_RESULT), {"files": files(lake, SESSION)})
    connection.execute(SESSION_SQL)
    listed = ", ".join(TABLES["results"])
    connection.execute(f"INSERT INTO core.results BY NAME SELECT {listed} FROM (SELECT *, {TRIES} FROM results_in)")
    connection.execute("CHECKPOINT")
    connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
