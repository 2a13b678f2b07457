-- Which steps take longest, and which are getting slower?
-- The weeks end with the test's newest day, not with today: a rebuild gives the same figures.
WITH part AS NOT MATERIALIZED (
    FROM marts.executions
), timed AS (
    SELECT e.provider, e.test_id, e.test_name, e.utc_date, coalesce(s.name, s.kind) AS step_name, s.result_key, s.duration_ms, s.outcome
    FROM core.steps s JOIN part e USING (result_key)
    WHERE isfinite(s.duration_ms)
), newest AS (
    SELECT provider, test_id, max(utc_date) AS newest_date FROM timed GROUP BY provider, test_id
), ran AS (
    SELECT t.*, n.newest_date - t.utc_date AS age_days
    FROM timed t LEFT JOIN newest n ON n.provider = t.provider AND n.test_id IS NOT DISTINCT FROM t.test_id
), grouped AS (
    SELECT provider, test_id, any_value(test_name) AS test_name, step_name,
        count(DISTINCT result_key) AS executions,
        count(*) AS step_count,
        count(*) FILTER (outcome = 'failed') AS failed_count,
        quantile_cont(duration_ms, 0.50) AS p50_duration_ms,
        quantile_cont(duration_ms, 0.95) AS p95_duration_ms,
        quantile_cont(duration_ms, 0.99) AS p99_duration_ms,
        max(duration_ms) AS worst_duration_ms,
        arg_max(result_key, row(duration_ms, result_key)) AS worst_result_key,
        quantile_cont(duration_ms, 0.50) FILTER (age_days < 7) AS last_week_p50_duration_ms,
        quantile_cont(duration_ms, 0.50) FILTER (age_days BETWEEN 7 AND 13) AS week_before_p50_duration_ms
    FROM ran GROUP BY provider, test_id, step_name
)
SELECT *, last_week_p50_duration_ms / nullif(week_before_p50_duration_ms, 0) - 1 AS trend
FROM grouped
