-- What goes wrong most, put together by what the message says rather than by its ids and numbers?
WITH grouped AS (
    SELECT fingerprint, min(said) AS said,
        sum(occurrences)::BIGINT AS occurrences,
        sum(executions)::BIGINT AS executions,
        count(DISTINCT row(provider, test_id)) AS tests_hit,
        count(DISTINCT provider) AS providers_hit,
        min(first_seen_at) AS first_seen_at,
        max(last_seen_at) AS last_seen_at,
        arg_max(last_result_key, row(coalesce(last_seen_at, TIMESTAMPTZ '-infinity'), last_result_key)) AS example_result_key
    FROM stage.month_errors GROUP BY fingerprint
)
SELECT
    fingerprint,
    substr(regexp_replace(regexp_replace(said, '\B''[^'']*''\B|"[^"]*"|`[^`]*`|[*]{3}[0-9a-f]{12}', '?', 'g'),
        '[0-9a-f]{8}-[0-9a-f-]{27}|0x[0-9a-f]+|[0-9]+', '#', 'gi'), 1, 300) AS pattern,
    occurrences, executions, tests_hit, providers_hit, first_seen_at, last_seen_at, example_result_key
FROM grouped
