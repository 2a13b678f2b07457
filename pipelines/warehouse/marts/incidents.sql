-- When was which test down, where, for how long, and why? A streak of failed executions; what neither passed nor failed is passed over.
WITH part AS (
    FROM stage.month_streaks
), told AS (
    SELECT *,
        lag(is_passed) OVER earlier AS was_passed,
        count(*) FILTER (is_passed) OVER (earlier ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS streak
    FROM part WHERE is_passed IS NOT NULL AND started_at IS NOT NULL
    WINDOW earlier AS (PARTITION BY provider, test_id, location, device ORDER BY started_at, first_result_key)
), streaks AS (  -- failures, and each pass after one
    SELECT provider, test_id, any_value(test_name) AS test_name, location, device,
        min(started_at) FILTER (NOT is_passed) AS started_at,
        min(started_at) FILTER (is_passed) AS ended_at,
        sum(executions) FILTER (NOT is_passed)::BIGINT AS failures,
        max(last_started_at) FILTER (NOT is_passed) AS last_failed_at,
        arg_min(first_result_key, row(started_at, first_result_key)) AS first_result_key,
        arg_min_null(first_failure_reason, row(started_at, first_result_key)) AS first_error
    FROM told WHERE NOT is_passed OR NOT was_passed GROUP BY provider, test_id, location, device, streak
)
SELECT
    provider, test_id, test_name, location, device, started_at, ended_at,
    ended_at IS NULL AS is_open,
    (epoch_us(ended_at) - epoch_us(started_at)) / 1000 AS duration_ms,
    failures, last_failed_at, first_result_key, first_error
FROM streaks
