-- Days whose results differ from what the marts were built from: merged anew, of an execution or a run with such a result, or of a test that
-- is named otherwise. (The days on which results stood before: `derive` notes them before it begins.)
INSERT INTO stage.changed_days
SELECT DISTINCT utc_date FROM core.results
WHERE result_key IN (FROM touched_results)
   OR run_key IN (FROM touched_runs)
   OR (provider, execution_id) IN (FROM touched_executions)
   OR (provider, test_id) IN (FROM changed_tests)
   -- the name of such a test is that of its newest result
   OR (provider, test_id) IN (
        SELECT provider, test_id FROM core.results r
        WHERE result_key IN (FROM touched_results) AND NOT EXISTS (
            FROM core.tests t WHERE t.provider = r.provider AND t.test_id = r.test_id AND t.is_current AND t.name IS NOT NULL));
