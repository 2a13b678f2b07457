-- Which assertions fail, how often, and what did they find instead?
WITH part AS (
    FROM stage.month_assertions
), summed AS (
    SELECT
        provider, test_id, any_value(test_name) AS test_name, source, property, operator,
        sum(evaluated)::BIGINT AS evaluated,
        sum(failed_count)::BIGINT AS failed_count,
        arg_max_null(last_target, last_place) AS last_target,
        arg_max_null(last_actual, last_place) AS last_actual,
        max(last_failed_at) AS last_failed_at
    FROM part GROUP BY provider, test_id, source, property, operator
)
SELECT
    provider, test_id, test_name, source, property, operator, evaluated, failed_count,
    failed_count / nullif(evaluated, 0) AS failure_rate,
    last_target, last_actual, last_failed_at
FROM summed
