-- When was which test down, where, for how long, and why? A streak of failed executions; what neither passed nor failed is passed over.
WITH part AS NOT MATERIALIZED (
    FROM marts.executions
), counted AS (
    SELECT *,
        count(*) FILTER (is_passed) OVER (
            PARTITION BY provider, test_id, location, device ORDER BY started_at, result_key ROWS UNBOUNDED PRECEDING) AS passes
    FROM part
    WHERE is_passed IS NOT NULL AND started_at IS NOT NULL
), streaks AS (  -- one pass with the failures after it; the next streak begins with the pass that ends this one
    SELECT provider, test_id, any_value(test_name) AS test_name, location, device, passes,
        min(started_at) AS opened_at,
        count(*) FILTER (NOT is_passed) AS failures,
        min(started_at) FILTER (NOT is_passed) AS started_at,
        max(started_at) FILTER (NOT is_passed) AS last_failed_at,
        arg_min(result_key, row(started_at, result_key)) FILTER (NOT is_passed) AS first_result_key,
        arg_min_null(failure_reason, row(started_at, result_key)) FILTER (NOT is_passed) AS first_error
    FROM counted GROUP BY provider, test_id, location, device, passes
), closed AS (
    SELECT *, lead(opened_at) OVER (PARTITION BY provider, test_id, location, device ORDER BY passes) AS ended_at
    FROM streaks
)
SELECT
    provider, test_id, test_name, location, device, started_at, ended_at,
    ended_at IS NULL AS is_open,
    (epoch_us(ended_at) - epoch_us(started_at)) / 1000 AS duration_ms,
    failures, last_failed_at, first_result_key, first_error
FROM closed WHERE failures > 0
