-- Executions of one place that ended alike one after the other, within a month (`utc_date` is its first day). Those that neither passed nor
-- failed are passed over, and are a row of their own.
WITH part AS (
    FROM marts.executions
), judged AS (
    SELECT *, date_trunc('month', utc_date)::DATE AS month, is_passed AND try_number > 1 AS is_on_retry,
        coalesce(is_passed <> lag(is_passed) OVER (
            PARTITION BY provider, test_id, location, device, date_trunc('month', utc_date), is_passed IS NULL
            ORDER BY started_at, result_key), false) AS is_turn
    FROM part
), numbered AS (
    SELECT *, count(*) FILTER (is_turn) OVER (
        PARTITION BY provider, test_id, location, device, month, is_passed IS NULL
        ORDER BY started_at, result_key ROWS UNBOUNDED PRECEDING) AS streak
    FROM judged
)
SELECT
    provider, test_id, any_value(test_name) AS test_name, location, device, month AS utc_date, is_passed,
    count(*) AS executions,
    min(started_at) AS started_at,
    max(started_at) AS last_started_at,
    arg_min(result_key, row(started_at, result_key)) AS first_result_key,
    arg_min_null(failure_reason, row(started_at, result_key)) AS first_failure_reason,
    arg_min_null(is_on_retry, row(started_at, result_key)) AS is_first_on_retry,
    count(*) FILTER (is_on_retry) AS passes_on_retry,
    min(started_at) FILTER (is_on_retry) AS first_retry_at,
    max(started_at) FILTER (is_on_retry) AS last_retry_at
FROM numbered GROUP BY provider, test_id, location, device, month, is_passed, streak
