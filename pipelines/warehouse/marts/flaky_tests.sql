-- Which tests cannot be trusted, because they fail and pass by turns or pass only on a retry?
-- Locations and devices are told apart: one that always fails beside one that always passes is no flip.
WITH part AS NOT MATERIALIZED (
    FROM marts.executions
), counted AS (
    SELECT provider, test_id, test_name, started_at, is_passed,
        coalesce(is_passed <> lag(is_passed IGNORE NULLS) OVER (
            PARTITION BY provider, test_id, location, device ORDER BY started_at, result_key), false) AS is_flip,
        coalesce(is_passed AND try_number > 1, false) AS is_pass_on_retry
    FROM part
)
SELECT
    provider, test_id, any_value(test_name) AS test_name,
    count(*) AS executions,
    count(*) FILTER (is_passed) AS passed_count,
    count(*) FILTER (NOT is_passed) AS failed_count,
    count(*) FILTER (is_passed) / nullif(count(is_passed), 0) AS pass_rate,
    count(*) FILTER (is_flip) AS flips,
    count(*) FILTER (is_pass_on_retry) AS passes_on_retry,
    count(*) FILTER (is_flip OR is_pass_on_retry) / nullif(count(is_passed), 0) AS score,
    min(started_at) FILTER (is_flip OR is_pass_on_retry) AS first_seen_at,
    max(started_at) FILTER (is_flip OR is_pass_on_retry) AS last_seen_at
FROM counted GROUP BY provider, test_id
