-- Which steps take longest, and which are getting slower?
-- The weeks end with the test's newest day, not with today: a rebuild gives the same figures.
WITH part AS (
    FROM stage.month_steps
), newest AS (
    SELECT provider, test_id, max(newest_date) AS newest_date FROM part GROUP BY provider, test_id
), ran AS (
    SELECT provider, test_id, step_name, unnest(durations_ms) AS duration_ms, n.newest_date - unnest(dates) AS age_days
    FROM part JOIN newest n USING (provider, test_id)
), percentiles AS (
    SELECT provider, test_id, step_name,
        quantile_cont(duration_ms, 0.50) AS p50_duration_ms,
        quantile_cont(duration_ms, 0.95) AS p95_duration_ms,
        quantile_cont(duration_ms, 0.99) AS p99_duration_ms,
        quantile_cont(duration_ms, 0.50) FILTER (age_days < 7) AS last_week_p50_duration_ms,
        quantile_cont(duration_ms, 0.50) FILTER (age_days BETWEEN 7 AND 13) AS week_before_p50_duration_ms
    FROM ran GROUP BY provider, test_id, step_name
), summed AS (
    SELECT provider, test_id, any_value(test_name) AS test_name, step_name,
        sum(executions)::BIGINT AS executions,
        sum(step_count)::BIGINT AS step_count,
        sum(failed_count)::BIGINT AS failed_count,
        max(worst_duration_ms) AS worst_duration_ms,
        arg_max(worst_result_key, row(worst_duration_ms, worst_result_key)) AS worst_result_key
    FROM part GROUP BY provider, test_id, step_name
)
SELECT
    s.provider, s.test_id, s.test_name, s.step_name, s.executions, s.step_count, s.failed_count,
    p.p50_duration_ms, p.p95_duration_ms, p.p99_duration_ms, s.worst_duration_ms, s.worst_result_key,
    p.last_week_p50_duration_ms, p.week_before_p50_duration_ms,
    p.last_week_p50_duration_ms / nullif(p.week_before_p50_duration_ms, 0) - 1 AS trend
FROM summed s JOIN percentiles p
    ON p.provider = s.provider AND p.test_id = s.test_id AND p.step_name IS NOT DISTINCT FROM s.step_name
