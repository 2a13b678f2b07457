-- core.runs of the touched runs, of one part of them: what payloads say, field by field. A detail's value wins, a list row fills what it lacks.
INSERT INTO core.runs BY NAME
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
FROM (SELECT DISTINCT run_key FROM run_sides WHERE run_key % {parts} = {part}) t
LEFT JOIN (FROM run_sides WHERE NOT is_summary AND outcome_rank <> 99) d USING (run_key)
LEFT JOIN (FROM run_sides WHERE is_summary AND outcome_rank <> 99) s USING (run_key)
LEFT JOIN (FROM run_sides WHERE outcome_rank = 99 QUALIFY row_number() OVER (PARTITION BY run_key ORDER BY is_summary) = 1) x USING (run_key)
LEFT JOIN run_members m USING (run_key);
