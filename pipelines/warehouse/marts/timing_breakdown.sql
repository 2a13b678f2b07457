-- Where does the time go: which phase of the exchange takes how much of it?
-- Sums run over whole microseconds, so that they do not depend on the order of the rows.
WITH part AS (
    FROM marts.executions
), phases AS (
    SELECT t.result_key, t.phase,
        coalesce(max(t.duration_ms) FILTER (t.step_index = -1), sum(try_cast(t.duration_ms * 1000 AS BIGINT)) / 1000) AS duration_ms
    FROM core.timings t SEMI JOIN part USING (result_key)
    WHERE NOT t.is_total AND isfinite(t.duration_ms)
    GROUP BY ALL
), grouped AS (
    SELECT e.provider, e.test_id, any_value(e.test_name) AS test_name, e.location, e.utc_date, p.phase,
        count(*) AS executions,
        quantile_cont(p.duration_ms, 0.50) AS p50_duration_ms,
        quantile_cont(p.duration_ms, 0.95) AS p95_duration_ms,
        quantile_cont(p.duration_ms, 0.99) AS p99_duration_ms,
        sum(try_cast(p.duration_ms * 1000 AS BIGINT)) AS sum_us
    FROM phases p JOIN part e USING (result_key)
    GROUP BY e.provider, e.test_id, e.location, e.utc_date, p.phase
)
SELECT
    provider, test_id, test_name, location, utc_date, phase, executions, p50_duration_ms, p95_duration_ms, p99_duration_ms,
    sum_us / 1000 AS sum_duration_ms,
    sum_us / nullif(sum(sum_us) OVER (PARTITION BY provider, test_id, location, utc_date), 0) AS share_of_total
FROM grouped
