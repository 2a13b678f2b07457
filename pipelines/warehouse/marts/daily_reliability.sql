-- How reliable and how fast was each test in each place on each day?
WITH part AS (
    FROM marts.executions
)
SELECT
    provider, test_id, any_value(test_name) AS test_name, location, utc_date,
    count(*) AS executions,
    count(*) FILTER (is_passed) AS passed_count,
    count(*) FILTER (outcome = 'degraded') AS degraded_count,
    count(*) FILTER (NOT is_passed) AS failed_count,
    count(*) FILTER (outcome = 'aborted') AS aborted_count,
    count(*) FILTER (outcome = 'cancelled') AS cancelled_count,
    count(*) FILTER (outcome = 'unresolved') AS unresolved_count,
    count(*) FILTER (outcome = 'unknown') AS unknown_count,
    count(*) FILTER (try_count > 1) AS retried_count,
    count(*) FILTER (is_passed) / nullif(count(is_passed), 0) AS pass_rate,
    quantile_cont(duration_ms, 0.50) AS p50_duration_ms,
    quantile_cont(duration_ms, 0.95) AS p95_duration_ms,
    quantile_cont(duration_ms, 0.99) AS p99_duration_ms,
    quantile_cont(response_time_ms, 0.50) AS p50_response_time_ms,
    quantile_cont(response_time_ms, 0.95) AS p95_response_time_ms,
    quantile_cont(response_time_ms, 0.99) AS p99_response_time_ms
FROM part
GROUP BY provider, test_id, location, utc_date
