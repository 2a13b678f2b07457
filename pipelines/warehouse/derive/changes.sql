-- Tests that are named otherwise: without a version that has a name, a test has that of its newest named result.
CREATE OR REPLACE TEMP TABLE named_otherwise AS
WITH named AS (
    SELECT provider, test_id FROM results_before WHERE test_name IS NOT NULL UNION
    SELECT provider, test_id FROM core.results WHERE result_key IN (FROM touched_results) AND test_name IS NOT NULL
)
FROM renamed_tests UNION
FROM named ANTI JOIN (FROM core.tests WHERE is_current AND name IS NOT NULL) USING (provider, test_id);

-- Results that differ from what the marts were built from: merged anew, of an execution or a run with such a result, or of a test that is
-- named otherwise. (As they stood: `results` notes them.)
INSERT INTO stage.changed
SELECT result_key, utc_date, test_id FROM core.results
WHERE result_key IN (FROM touched_results UNION SELECT result_key FROM tries UNION SELECT result_key FROM told_otherwise)
UNION SELECT result_key, utc_date, test_id FROM core.results WHERE run_key IN (FROM touched_runs)
UNION SELECT result_key, utc_date, test_id FROM core.results SEMI JOIN named_otherwise USING (provider, test_id);

-- And runs: merged anew, or with a result whose test is named otherwise.
INSERT INTO stage.changed_runs
FROM touched_runs
UNION SELECT run_key FROM core.results WHERE run_key IS NOT NULL AND result_key IN (SELECT result_key FROM told_otherwise)
UNION SELECT run_key FROM core.results SEMI JOIN named_otherwise USING (provider, test_id) WHERE run_key IS NOT NULL;
