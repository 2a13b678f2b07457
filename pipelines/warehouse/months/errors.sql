-- Errors of a test that share a fingerprint, within a month (`utc_date` is its first day). Every try counts that did not pass.
WITH part AS (
    FROM core.results
), hits AS (
    SELECT coalesce(e.fingerprint, lower(e.code), lower(e.name)) AS fingerprint, coalesce(e.message, e.code, e.name) AS said,
        r.result_key, r.provider, r.test_id, r.is_final, r.started_at, r.utc_date
    FROM core.errors e JOIN part r USING (result_key)
    WHERE r.outcome NOT IN ('passed', 'degraded', 'running')
)
SELECT
    fingerprint, provider, test_id, date_trunc('month', utc_date)::DATE AS utc_date,
    min(said) AS said,
    count(DISTINCT result_key) AS occurrences,
    count(DISTINCT result_key) FILTER (is_final) AS executions,
    min(started_at) AS first_seen_at,
    max(started_at) AS last_seen_at,
    arg_max(result_key, row(coalesce(started_at, TIMESTAMPTZ '-infinity'), result_key)) AS last_result_key
FROM hits WHERE fingerprint IS NOT NULL GROUP BY fingerprint, provider, test_id, date_trunc('month', hits.utc_date)
