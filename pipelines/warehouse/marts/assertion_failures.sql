-- Which assertions fail, how often, and what did they find instead?
WITH part AS NOT MATERIALIZED (
    FROM marts.executions
), evaluated AS (
    SELECT e.provider, e.test_id, e.test_name, a.source, a.property, a.operator, a.outcome, a.target, a.actual, e.started_at,
        row(coalesce(e.started_at, TIMESTAMPTZ '-infinity'), a.result_key, a.assertion_index) AS place
    FROM core.assertions a JOIN part e USING (result_key)
)
SELECT
    provider, test_id, any_value(test_name) AS test_name, source, property, operator,
    count(*) FILTER (outcome IN ('passed', 'failed')) AS evaluated,
    count(*) FILTER (outcome = 'failed') AS failed_count,
    count(*) FILTER (outcome = 'failed') / nullif(count(*) FILTER (outcome IN ('passed', 'failed')), 0) AS failure_rate,
    arg_max_null(target, place) FILTER (outcome = 'failed') AS last_target,
    arg_max_null(actual, place) FILTER (outcome = 'failed') AS last_actual,
    max(started_at) FILTER (outcome = 'failed') AS last_failed_at
FROM evaluated
GROUP BY provider, test_id, source, property, operator
