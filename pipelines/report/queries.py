"""What the report asks the warehouse: one SELECT on `marts.*` per section, and nothing else of the report.

Charts show the 30 days up to the newest one with data.
"""

from __future__ import annotations

from typing import Protocol

Row = dict[str, object]


class Query(Protocol):
    """How the report reads: one read-only statement, a dict per row."""

    def __call__(self, sql: str, /) -> list[Row]: ...


OVERVIEW = """
SELECT count(*) AS executions, count(*) FILTER (is_passed) AS passed_count, count(*) FILTER (NOT is_passed) AS failed_count,
    count(*) FILTER (is_passed) / nullif(count(is_passed), 0) AS pass_rate,
    count(DISTINCT provider) AS providers, count(DISTINCT row(provider, test_id)) AS tests,
    min(started_at) AS first_at, max(started_at) AS last_at,
    (SELECT count(*) FROM marts.incidents WHERE is_open) AS open_incidents
FROM marts.executions"""

RELIABILITY = """
SELECT provider, utc_date, sum(executions)::BIGINT AS executions, sum(passed_count)::BIGINT AS passed_count,
    sum(failed_count)::BIGINT AS failed_count, sum(passed_count) / nullif(sum(passed_count + failed_count), 0) AS pass_rate
FROM marts.daily_reliability WHERE utc_date > (SELECT max(utc_date) - 30 FROM marts.executions)
GROUP BY provider, utc_date HAVING pass_rate IS NOT NULL ORDER BY provider, utc_date"""

LATENCY = """
SELECT provider, utc_date, count(duration_ms) AS executions, quantile_cont(duration_ms, 0.50) AS p50_duration_ms,
    quantile_cont(duration_ms, 0.95) AS p95_duration_ms, quantile_cont(duration_ms, 0.99) AS p99_duration_ms
FROM marts.executions WHERE utc_date > (SELECT max(utc_date) - 30 FROM marts.executions) AND duration_ms IS NOT NULL
GROUP BY provider, utc_date ORDER BY provider, utc_date"""

TIMING = """
SELECT provider, phase, sum(executions)::BIGINT AS executions, sum(sum_duration_ms) AS sum_duration_ms,
    sum(sum_duration_ms) / nullif(sum(sum(sum_duration_ms)) OVER (PARTITION BY provider), 0) AS share_of_total
FROM marts.timing_breakdown WHERE utc_date > (SELECT max(utc_date) - 30 FROM marts.executions)
GROUP BY provider, phase HAVING sum(sum_duration_ms) > 0 ORDER BY provider, phase"""

INCIDENTS = """
SELECT provider, test_id, test_name, location, started_at, failures, first_error
FROM marts.incidents WHERE is_open ORDER BY started_at DESC, provider, test_id LIMIT 10"""

FLAKY = """
SELECT provider, test_id, test_name, executions, pass_rate, flips, passes_on_retry, score, last_seen_at
FROM marts.flaky_tests WHERE score > 0 ORDER BY score DESC, executions DESC, provider, test_id LIMIT 10"""

SLOW_STEPS = """
SELECT provider, test_id, test_name, step_name, executions, p50_duration_ms, p95_duration_ms, worst_duration_ms, trend
FROM marts.slow_steps ORDER BY p95_duration_ms DESC NULLS LAST, provider, test_id, step_name LIMIT 10"""

REASONS = """
SELECT pattern, occurrences, executions, tests_hit, providers_hit, first_seen_at, last_seen_at
FROM marts.failure_reasons ORDER BY occurrences DESC, last_seen_at DESC, fingerprint LIMIT 10"""

FAILURES = """
SELECT provider, test_id, test_name, location, started_at, try_count, failure_code, failure_reason
FROM marts.executions WHERE outcome = 'failed' ORDER BY started_at DESC NULLS LAST, result_key LIMIT 15"""

CERTIFICATES = """
SELECT provider, test_id, test_name, host, issuer_cn, valid_to_at
FROM marts.certificate_expiry WHERE valid_to_at IS NOT NULL ORDER BY valid_to_at, provider, test_id LIMIT 10"""

FRESHNESS = """
SELECT provider, endpoint, payloads, last_landed_at, last_event_at, open, rejected, last_error
FROM marts.freshness ORDER BY provider, endpoint NULLS FIRST"""
