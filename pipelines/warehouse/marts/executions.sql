-- Which executions were there, and how did each end? One row per execution: its final result with test and run names.
-- (What `hash(…) IS NOT NULL` is for: `connect.few`.)
WITH part AS (
    FROM core.results
), unnamed AS (  -- tests without a version that has a name: few, if any
    SELECT DISTINCT provider, test_id FROM part ANTI JOIN (FROM core.tests WHERE is_current AND name IS NOT NULL) USING (provider, test_id)
), names AS (
    SELECT provider, test_id, arg_max(test_name, row(coalesce(started_at, TIMESTAMPTZ '-infinity'), result_key)) AS test_name
    FROM core.results SEMI JOIN unnamed USING (provider, test_id)
    WHERE test_name IS NOT NULL GROUP BY ALL
), retried AS (
    SELECT provider, execution_id, max(try_number) AS try_count FROM core.results
    WHERE try_number > 1 AND execution_id IN (SELECT execution_id FROM part WHERE hash(execution_id) IS NOT NULL) GROUP BY ALL
), reasons AS (
    SELECT result_key,
        arg_min(message, error_index) FILTER (message IS NOT NULL) AS message,
        arg_min(code, error_index) FILTER (code IS NOT NULL) AS code,
        arg_min(coalesce(fingerprint, lower(code), lower(name)), error_index) AS fingerprint
    FROM core.errors SEMI JOIN (FROM part WHERE hash(result_key) IS NOT NULL) p USING (result_key) GROUP BY result_key
), refuted AS (
    SELECT result_key,
        arg_min(concat_ws(' ', source, property, operator, target) || coalesce(': ' || error_message, ', found ' || actual, ''),
            assertion_index) AS message
    FROM core.assertions SEMI JOIN (FROM part WHERE hash(result_key) IS NOT NULL) p USING (result_key) WHERE outcome = 'failed' GROUP BY result_key
)
SELECT
    r.result_key, r.provider, r.result_id, r.attempt, r.execution_id, r.try_number, coalesce(t.try_count, 1) AS try_count,
    r.run_key, r.run_id, u.name AS run_name, u.application, u.environment, u.branch, u.commit_sha,
    r.test_id, coalesce(d.name, n.test_name) AS test_name, r.test_type,
    r.location, r.device, r.browser, r.os,
    r.status, r.outcome,
    CASE WHEN r.outcome IN ('passed', 'degraded') THEN true WHEN r.outcome = 'failed' THEN false END AS is_passed,
    r.has_detail, r.started_at, r.ended_at, r.utc_date,
    CASE WHEN isfinite(r.duration_ms) THEN r.duration_ms END AS duration_ms,
    CASE WHEN isfinite(r.response_time_ms) THEN r.response_time_ms END AS response_time_ms,
    r.http_status_code,
    coalesce(r.failure_code, e.code) AS failure_code,
    CASE WHEN regexp_matches(r.failure_message, '^[\[{]') THEN coalesce(e.message, a.message, r.failure_message)  -- JSON is no sentence
         ELSE coalesce(r.failure_message, e.message, CASE WHEN r.outcome = 'failed' THEN a.message END) END AS failure_reason,
    e.fingerprint, r.trace_id, r.url
FROM part r
LEFT JOIN retried t USING (provider, execution_id)
LEFT JOIN names n USING (provider, test_id)
LEFT JOIN core.tests d ON d.provider = r.provider AND d.test_id = r.test_id AND d.is_current
LEFT JOIN (FROM core.runs WHERE run_key IN (SELECT run_key FROM part WHERE hash(run_key) IS NOT NULL)) u ON u.run_key = r.run_key
LEFT JOIN reasons e ON e.result_key = r.result_key
LEFT JOIN refuted a ON a.result_key = r.result_key
WHERE r.is_final
