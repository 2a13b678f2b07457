-- Which tests cannot be trusted, because they fail and pass by turns or pass only on a retry?
-- Locations and devices are told apart: one that always fails beside one that always passes is no flip.
WITH part AS (
    FROM stage.month_streaks
), told AS (
    SELECT *, coalesce(is_passed <> lag(is_passed) OVER (
        PARTITION BY provider, test_id, location, device, is_passed IS NULL ORDER BY started_at, first_result_key), false) AS is_flip
    FROM part
), counted AS (
    SELECT
        provider, test_id, any_value(test_name) AS test_name,
        sum(executions)::BIGINT AS executions,
        coalesce(sum(executions) FILTER (is_passed), 0)::BIGINT AS passed_count,
        coalesce(sum(executions) FILTER (NOT is_passed), 0)::BIGINT AS failed_count,
        count(*) FILTER (is_flip) AS flips,
        sum(passes_on_retry)::BIGINT AS passes_on_retry,
        count(*) FILTER (is_flip AND is_first_on_retry) AS counted_twice,
        least(min(started_at) FILTER (is_flip), min(first_retry_at)) AS first_seen_at,
        greatest(max(started_at) FILTER (is_flip), max(last_retry_at)) AS last_seen_at
    FROM told GROUP BY provider, test_id
)
SELECT
    provider, test_id, test_name, executions, passed_count, failed_count,
    passed_count / nullif(passed_count + failed_count, 0) AS pass_rate,
    flips, passes_on_retry,
    (flips + passes_on_retry - counted_twice) / nullif(passed_count + failed_count, 0) AS score,
    first_seen_at, last_seen_at
FROM counted
