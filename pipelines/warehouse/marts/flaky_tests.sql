-- Which tests cannot be trusted, because they fail and pass by turns or pass only on a retry?
-- Locations and devices are told apart: one that always fails beside one that always passes is no flip.
WITH part AS NOT MATERIALIZED (
    FROM marts.executions
), counted AS (
    SELECT *,
        is_passed <> lag(is_passed) OVER (
            PARTITION BY provider, test_id, location, device ORDER BY started_at, result_key) AS is_flip
    FROM part WHERE is_passed IS NOT NULL
), marked AS (
    SELECT provider, test_id, started_at, is_passed,
        coalesce(is_flip, false) AS is_flip,
        is_passed AND coalesce(try_number > 1, false) AS is_pass_on_retry
    FROM counted
), wavering AS (
    SELECT provider, test_id,
        count(*) FILTER (is_passed) AS passed_count,
        count(*) FILTER (NOT is_passed) AS failed_count,
        count(*) FILTER (is_flip) AS flips,
        count(*) FILTER (is_pass_on_retry) AS passes_on_retry,
        count(*) FILTER (is_flip OR is_pass_on_retry) / count(*) AS score,
        min(started_at) FILTER (is_flip OR is_pass_on_retry) AS first_seen_at,
        max(started_at) FILTER (is_flip OR is_pass_on_retry) AS last_seen_at
    FROM marked GROUP BY ALL
), everything AS (
    SELECT provider, test_id, any_value(test_name) AS test_name, count(*) AS executions
    FROM part GROUP BY provider, test_id
)
SELECT
    provider, test_id, test_name, executions,
    coalesce(passed_count, 0) AS passed_count,
    coalesce(failed_count, 0) AS failed_count,
    passed_count / nullif(passed_count + failed_count, 0) AS pass_rate,
    coalesce(flips, 0) AS flips,
    coalesce(passes_on_retry, 0) AS passes_on_retry,
    score, first_seen_at, last_seen_at
FROM everything LEFT JOIN wavering USING (provider, test_id)
