-- Every duration of a test's step, with its day, within a month (`utc_date` is its first day): percentiles cannot be summed up.
WITH part AS (
    FROM marts.executions
), timed AS (
    SELECT e.provider, e.test_id, e.test_name, coalesce(s.name, s.kind) AS step_name, s.result_key, s.outcome, s.duration_ms, e.utc_date
    FROM core.steps s JOIN part e USING (result_key)
    WHERE isfinite(s.duration_ms)
)
SELECT
    provider, test_id, any_value(test_name) AS test_name, step_name, date_trunc('month', utc_date)::DATE AS utc_date,
    count(DISTINCT result_key) AS executions,
    count(*) AS step_count,
    count(*) FILTER (outcome = 'failed') AS failed_count,
    max(duration_ms) AS worst_duration_ms,
    arg_max(result_key, row(duration_ms, result_key)) AS worst_result_key,
    max(timed.utc_date) AS newest_date,
    list(duration_ms) AS durations_ms,
    list(timed.utc_date) AS dates
FROM timed GROUP BY provider, test_id, step_name, date_trunc('month', timed.utc_date)
