-- When was which test down, where, for how long, and why? A streak of failed executions; what neither passed nor failed is passed over.
WITH part AS NOT MATERIALIZED (
    FROM marts.executions
), judged AS (
    SELECT *, lag(is_passed) OVER (PARTITION BY provider, test_id, location, device ORDER BY started_at, result_key) AS was_passed
    FROM part SEMI JOIN (FROM part WHERE NOT is_passed) failed
        ON failed.provider = part.provider AND failed.test_id IS NOT DISTINCT FROM part.test_id  -- most tests never fail
    WHERE is_passed IS NOT NULL AND started_at IS NOT NULL
), told AS (  -- failures, and each pass after one
    SELECT *,
        count(*) FILTER (is_passed) OVER (
            PARTITION BY provider, test_id, location, device ORDER BY started_at, result_key
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS streak
    FROM judged WHERE NOT is_passed OR NOT was_passed
), streaks AS (
    SELECT provider, test_id, any_value(test_name) AS test_name, location, device,
        min(started_at) FILTER (NOT is_passed) AS started_at,
        min(started_at) FILTER (is_passed) AS ended_at,
        count(*) FILTER (NOT is_passed) AS failures,
        max(started_at) FILTER (NOT is_passed) AS last_failed_at,
        arg_min(result_key, row(started_at, result_key)) AS first_result_key,
        arg_min_null(failure_reason, row(started_at, result_key)) AS first_error
    FROM told GROUP BY provider, test_id, location, device, streak
)
SELECT
    provider, test_id, test_name, location, device, started_at, ended_at,
    ended_at IS NULL AS is_open,
    (epoch_us(ended_at) - epoch_us(started_at)) / 1000 AS duration_ms,
    failures, last_failed_at, first_result_key, first_error
FROM streaks
