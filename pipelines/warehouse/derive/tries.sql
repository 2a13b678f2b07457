-- try_number and is_final of every execution that has a touched result or belongs to a touched run (contract §5, §7).
-- (What `hash(…) IS NOT NULL` is for: `connect.few`.)
INSERT INTO touched_executions
SELECT DISTINCT provider, execution_id FROM core.results WHERE run_key IN (FROM touched_runs);

CREATE OR REPLACE TEMP TABLE tries AS
WITH candidates AS (
    SELECT
        r.result_key, r.provider, r.execution_id, r.started_at, r.result_id, r.attempt,
        CASE
            WHEN NOT r.is_terminal THEN NULL
            WHEN r.try_kind = 'final' THEN 0
            WHEN r.try_kind IS NULL THEN 1
            -- tries that the provider calls attempts count only once nothing better can come
            WHEN r.try_kind = 'attempt' AND coalesce(u.is_terminal, false) THEN 2
        END AS preference
    FROM core.results r
    JOIN (SELECT DISTINCT provider, execution_id FROM touched_executions) e USING (provider, execution_id)
    LEFT JOIN core.runs u ON u.run_key = r.run_key
    WHERE r.execution_id IN (SELECT execution_id FROM touched_executions WHERE hash(execution_id) IS NOT NULL)
)
SELECT
    result_key,
    row_number() OVER (PARTITION BY provider, execution_id ORDER BY started_at, result_id, attempt) AS try_number,
    preference IS NOT NULL AND row_number() OVER (
        PARTITION BY provider, execution_id
        ORDER BY preference, started_at DESC, result_id DESC, attempt DESC) = 1 AS is_final
FROM candidates;

UPDATE core.results r SET try_number = t.try_number, is_final = t.is_final
FROM tries t
WHERE r.result_key = t.result_key
  AND (r.try_number IS DISTINCT FROM t.try_number OR r.is_final IS DISTINCT FROM t.is_final);

INSERT INTO noted_runs
SELECT DISTINCT r.run_key FROM core.results r JOIN tries t USING (result_key) WHERE r.run_key IS NOT NULL;
