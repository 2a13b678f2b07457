-- Days and tests whose results differ from what the marts were built from: merged anew, of an execution or a run with such a result, or of
-- a test that is named otherwise. (Those of results as they stood: `before` notes them.)
INSERT INTO stage.changed
WITH named AS (
    FROM named_before UNION
    SELECT provider, test_id FROM core.results WHERE result_key IN (FROM touched_results) AND test_name IS NOT NULL
), named_otherwise AS (  -- without a version that has a name, a test has that of its newest named result
    FROM renamed_tests UNION
    FROM named ANTI JOIN (FROM core.tests WHERE is_current AND name IS NOT NULL) USING (provider, test_id)
)
SELECT utc_date, test_id FROM core.results
WHERE result_key IN (FROM touched_results UNION SELECT result_key FROM tries UNION SELECT result_key FROM told_otherwise)
UNION SELECT utc_date, test_id FROM core.results WHERE run_key IN (FROM touched_runs)
UNION SELECT utc_date, test_id FROM core.results SEMI JOIN named_otherwise USING (provider, test_id);
