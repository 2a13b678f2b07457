-- What `changes` must know of the touched results as they stood.
INSERT INTO stage.changed
SELECT DISTINCT utc_date, test_id FROM core.results WHERE result_key IN (FROM touched_results);

CREATE OR REPLACE TEMP TABLE named_before AS
SELECT DISTINCT provider, test_id FROM core.results WHERE result_key IN (FROM touched_results) AND test_name IS NOT NULL;
