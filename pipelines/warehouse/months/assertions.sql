-- Assertions of a test and what they found, within a month (`utc_date` is its first day).
WITH part AS (
    FROM marts.executions
), evaluated AS (
    SELECT e.provider, e.test_id, e.test_name, a.source, a.property, a.operator, a.outcome, a.target, a.actual, e.started_at, e.utc_date,
        {'started_at': coalesce(e.started_at, TIMESTAMPTZ '-infinity'), 'result_key': a.result_key, 'index': a.assertion_index} AS place
    FROM core.assertions a JOIN part e USING (result_key)
)
SELECT
    provider, test_id, any_value(test_name) AS test_name, source, property, operator, date_trunc('month', utc_date)::DATE AS utc_date,
    count(*) FILTER (outcome IN ('passed', 'failed')) AS evaluated,
    count(*) FILTER (outcome = 'failed') AS failed_count,
    max(place) FILTER (outcome = 'failed') AS last_place,
    arg_max_null(target, place) FILTER (outcome = 'failed') AS last_target,
    arg_max_null(actual, place) FILTER (outcome = 'failed') AS last_actual,
    max(started_at) FILTER (outcome = 'failed') AS last_failed_at
FROM evaluated
GROUP BY provider, test_id, source, property, operator, date_trunc('month', evaluated.utc_date)
