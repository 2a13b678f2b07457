-- What goes wrong most, put together by what the message says rather than by its ids and numbers?
WITH hits AS (
    SELECT coalesce(e.fingerprint, lower(e.code), lower(e.name)) AS fingerprint, coalesce(e.message, e.code, e.name) AS said,
        r.result_key, r.provider, r.test_id, r.is_final, r.started_at
    FROM core.errors e JOIN core.results r USING (result_key)
    WHERE r.outcome NOT IN ('passed', 'degraded', 'running')
), grouped AS (
    SELECT fingerprint, min(said) AS said,
        count(DISTINCT result_key) AS occurrences,
        count(DISTINCT result_key) FILTER (is_final) AS executions,
        count(DISTINCT row(provider, test_id)) AS tests_hit,
        count(DISTINCT provider) AS providers_hit,
        min(started_at) AS first_seen_at,
        max(started_at) AS last_seen_at,
        arg_max(result_key, row(coalesce(started_at, TIMESTAMPTZ '-infinity'), result_key)) AS example_result_key
    FROM hits WHERE fingerprint IS NOT NULL GROUP BY fingerprint
)
SELECT
    fingerprint,
    substr(regexp_replace(regexp_replace(said, '\B''[^'']*''\B|"[^"]*"|`[^`]*`|[*]{3}[0-9a-f]{12}', '?', 'g'),
        '[0-9a-f]{8}-[0-9a-f-]{27}|0x[0-9a-f]+|[0-9]+', '#', 'gi'), 1, 300) AS pattern,
    occurrences, executions, tests_hit, providers_hit, first_seen_at, last_seen_at, example_result_key
FROM grouped
