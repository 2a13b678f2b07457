-- Does each test meet its objective over the last 7, 28 and 90 days, and what is left of its error budget?
-- Time is compared as seconds: readers without DuckDB's time zone extension can query the view too.
WITH windows AS (
    SELECT unnest([7, 28, 90])::BIGINT AS window_days, 0.99::DOUBLE AS objective, 0.01::DOUBLE AS budget
), tests AS (
    SELECT provider, test_id, any_value(test_name) AS test_name FROM marts.executions GROUP BY provider, test_id
), counted AS (
    SELECT e.provider, e.test_id, w.window_days,
        count(*) AS executions,
        count(*) FILTER (e.is_passed) AS passed_count,
        count(*) FILTER (NOT e.is_passed) AS failed_count
    FROM marts.executions e
    JOIN windows w ON epoch(now()) - epoch(e.started_at) BETWEEN 0 AND w.window_days * 86400
    GROUP BY ALL
), told AS (
    SELECT t.provider, t.test_id, t.test_name, w.window_days, w.objective, w.budget,
        coalesce(c.executions, 0) AS executions,
        coalesce(c.passed_count, 0) AS passed_count,
        coalesce(c.failed_count, 0) AS failed_count,
        c.failed_count / nullif(c.passed_count + c.failed_count, 0) / w.budget AS burn_rate
    FROM tests t CROSS JOIN windows w LEFT JOIN counted c USING (provider, test_id, window_days)
)
SELECT
    provider, test_id, test_name, window_days, executions, passed_count, failed_count,
    passed_count / nullif(passed_count + failed_count, 0) AS availability,
    objective,
    1 - burn_rate AS error_budget_left,
    burn_rate
FROM told
