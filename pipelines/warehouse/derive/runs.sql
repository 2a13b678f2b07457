-- What payloads say of the touched runs (`run_sides`) and what their members say (`run_members`).
-- A row of rank 99 says only that the run exists (its members tell the rest).
CREATE OR REPLACE TEMP TABLE run_sides AS
SELECT * FROM stage.runs
WHERE rowid IN (
    SELECT rowid FROM stage.runs
    WHERE run_key IN (FROM touched_runs)
    QUALIFY row_number() OVER (
        PARTITION BY run_key, is_summary, outcome_rank = 99 ORDER BY is_terminal DESC, fetched_at DESC, entity_id) = 1);

CREATE OR REPLACE TEMP TABLE run_members AS
SELECT
    run_key,
    min(started_at) AS started_at,
    CASE WHEN bool_and(is_terminal) THEN max(ended_at) END AS ended_at,
    bool_and(is_terminal) AS is_terminal,
    CASE
        WHEN NOT bool_and(is_terminal) THEN 'running'
        WHEN bool_or(is_final AND outcome = 'failed') THEN 'failed'
        WHEN bool_or(is_final AND outcome = 'aborted') THEN 'aborted'
        WHEN bool_or(is_final AND outcome = 'cancelled') THEN 'cancelled'
        WHEN bool_or(is_final AND outcome = 'unresolved') THEN 'unresolved'
        WHEN bool_or(is_final AND outcome = 'unknown') THEN 'unknown'
        WHEN bool_or(is_final AND outcome = 'degraded') THEN 'degraded'
        ELSE 'passed'
    END AS outcome,
    count(*) FILTER (is_final AND outcome IN ('passed', 'degraded')) AS passed_count,
    count(*) FILTER (is_final AND outcome = 'failed') AS failed_count,
    count(*) FILTER (is_final AND outcome = 'aborted') AS aborted_count,
    count(DISTINCT execution_id) - count(*) FILTER (is_final) AS pending_count,
    count(*) FILTER (is_final AND outcome = 'unresolved') AS unresolved_count
FROM core.results
WHERE run_key IN (FROM touched_runs)
GROUP BY run_key;

DELETE FROM core.runs WHERE run_key IN (FROM touched_runs);
