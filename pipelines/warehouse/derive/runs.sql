-- core.runs of the touched runs, first part: what payloads say, field by field. A detail's value wins, a list row fills what it lacks.
-- A row of rank 99 says only that the run exists (its members tell the rest).
CREATE OR REPLACE TEMP TABLE run_sides AS
SELECT * FROM stage.runs
WHERE run_key IN (FROM touched_runs)
QUALIFY row_number() OVER (
    PARTITION BY run_key, is_summary, outcome_rank = 99 ORDER BY is_terminal DESC, fetched_at DESC, entity_id) = 1;

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

DELETE FROM core.runs WHERE run_key IN (FROM touched_runs) AND run_key NOT IN (SELECT run_key FROM run_sides);

INSERT OR REPLACE INTO core.runs BY NAME
SELECT
    {columns},
    CASE WHEN d.run_key IS NULL AND s.run_key IS NULL THEN coalesce(m.outcome, 'running')
         -- a trigger response says `running` for ever; its members say when the run has ended
         WHEN d.run_key IS NULL AND NOT s.is_terminal AND x.run_key IS NOT NULL THEN coalesce(m.outcome, s.outcome)
         WHEN d.run_key IS NULL THEN s.outcome
         WHEN s.run_key IS NULL OR d.is_terminal >= s.is_terminal THEN d.outcome
         ELSE s.outcome END AS outcome,
    CASE WHEN d.run_key IS NULL AND s.run_key IS NULL THEN coalesce(m.is_terminal, false)
         WHEN d.run_key IS NULL AND x.run_key IS NOT NULL THEN s.is_terminal OR coalesce(m.is_terminal, false)
         ELSE coalesce(d.is_terminal, false) OR coalesce(s.is_terminal, false) END AS is_terminal,
    coalesce(d.started_at, s.started_at, m.started_at) AS started_at,
    coalesce(d.ended_at, s.ended_at, m.ended_at) AS ended_at,
    coalesce(d.duration_ms, s.duration_ms,
             CASE WHEN m.ended_at >= m.started_at THEN (epoch_us(m.ended_at) - epoch_us(m.started_at)) / 1000 END) AS duration_ms,
    coalesce(d.started_at, s.started_at, m.started_at)::DATE AS utc_date,
    coalesce(d.passed_count, s.passed_count, m.passed_count) AS passed_count,
    coalesce(d.failed_count, s.failed_count, m.failed_count) AS failed_count,
    coalesce(d.aborted_count, s.aborted_count, m.aborted_count) AS aborted_count,
    coalesce(d.pending_count, s.pending_count, m.pending_count) AS pending_count,
    coalesce(d.unresolved_count, s.unresolved_count, m.unresolved_count) AS unresolved_count,
    CASE WHEN d.attributes IS NOT NULL AND s.attributes IS NOT NULL THEN json_merge_patch(s.attributes, d.attributes)
         ELSE coalesce(d.attributes, s.attributes) END AS attributes
FROM (SELECT DISTINCT run_key FROM run_sides) t
LEFT JOIN (FROM run_sides WHERE NOT is_summary AND outcome_rank <> 99) d USING (run_key)
LEFT JOIN (FROM run_sides WHERE is_summary AND outcome_rank <> 99) s USING (run_key)
LEFT JOIN (FROM run_sides WHERE outcome_rank = 99 QUALIFY row_number() OVER (PARTITION BY run_key ORDER BY is_summary) = 1) x USING (run_key)
LEFT JOIN run_members m USING (run_key);

-- A run that was given up because it never ended has the outcome `unknown` (contract §3).
UPDATE core.runs u SET outcome = 'unknown', is_terminal = true
FROM run_sides r JOIN meta.rejects j
  ON j.rule = 'stale_running' AND j.provider = r.provider AND j.endpoint = r.endpoint AND j.entity_id = r.entity_id
WHERE u.run_key = r.run_key AND NOT u.is_terminal;
