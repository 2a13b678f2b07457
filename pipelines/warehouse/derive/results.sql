-- core.results of the touched results: row + detail merged field by field. The detail's value wins, the list row fills what it lacks;
-- of two outcomes the terminal one wins, then the one with the stronger evidence (contract §7).

-- As they stand until then: what the marts were built from.
CREATE OR REPLACE TEMP TABLE results_before AS
SELECT result_key, provider, execution_id, run_key, test_id, test_name, utc_date FROM core.results
WHERE rowid IN (SELECT rowid FROM core.results WHERE result_key IN (FROM touched_results));
INSERT INTO stage.changed SELECT result_key, utc_date, test_id FROM results_before;

-- Chosen by row number first: most of the wide rows are then not read at all.
CREATE OR REPLACE TEMP TABLE result_sides AS
SELECT * FROM stage.results
WHERE rowid IN (
    SELECT rowid FROM stage.results
    WHERE rowid IN (SELECT rowid FROM stage.results WHERE result_key IN (FROM touched_results))
    QUALIFY row_number() OVER (PARTITION BY result_key, is_summary ORDER BY is_terminal DESC, fetched_at DESC, entity_id) = 1);

-- Executions and runs whose other members change with these results, seen before and after the merge.
CREATE OR REPLACE TEMP TABLE touched_executions AS
SELECT provider, execution_id FROM results_before
UNION SELECT provider, execution_id FROM result_sides
UNION SELECT provider, result_id FROM result_sides;
INSERT INTO noted_runs
SELECT run_key FROM results_before WHERE run_key IS NOT NULL
UNION SELECT run_key FROM result_sides WHERE run_key IS NOT NULL;

-- Not INSERT OR REPLACE: DuckDB (1.5.5) joins that with the whole table and needs minutes and gigabytes for some 10,000 wide rows.
DELETE FROM core.results WHERE result_key IN (FROM touched_results);
INSERT INTO core.results BY NAME
SELECT
    {columns},
    -- an execution of its own id is what a payload says that knows of no other try
    coalesce(nullif(d.execution_id, d.result_id), nullif(s.execution_id, s.result_id), d.result_id, s.result_id) AS execution_id,
    CASE WHEN o.is_stale THEN 'unknown' ELSE o.outcome END AS outcome,
    o.is_terminal OR o.is_stale AS is_terminal,
    o.has_detail,
    coalesce(d.started_at, s.started_at)::DATE AS utc_date,
    CASE WHEN d.attributes IS NOT NULL AND s.attributes IS NOT NULL THEN json_merge_patch(s.attributes, d.attributes)
         ELSE coalesce(d.attributes, s.attributes) END AS attributes
FROM (SELECT DISTINCT result_key FROM result_sides) t
LEFT JOIN (FROM result_sides WHERE NOT is_summary) d USING (result_key)
LEFT JOIN (FROM result_sides WHERE is_summary) s USING (result_key),
LATERAL (SELECT
    CASE WHEN d.result_key IS NULL THEN s.outcome
         WHEN s.result_key IS NULL THEN d.outcome
         WHEN d.is_terminal <> s.is_terminal THEN CASE WHEN d.is_terminal THEN d.outcome ELSE s.outcome END
         WHEN s.outcome_rank < d.outcome_rank THEN s.outcome
         ELSE d.outcome END AS outcome,
    coalesce(d.is_terminal, false) OR coalesce(s.is_terminal, false) AS is_terminal,
    d.result_key IS NOT NULL AS has_detail,
    NOT (coalesce(d.is_terminal, false) OR coalesce(s.is_terminal, false)) AND EXISTS (
        SELECT 1 FROM meta.rejects j
        WHERE j.rule = 'stale_running' AND j.provider = coalesce(d.provider, s.provider)
          AND ((j.endpoint = d.endpoint AND j.entity_id = d.entity_id)
            OR (j.endpoint = s.endpoint AND j.entity_id = s.entity_id))) AS is_stale) o;
