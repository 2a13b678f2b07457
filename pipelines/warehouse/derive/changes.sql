-- Days and tests whose results differ from what the marts were built from: merged anew, of an execution or a run with such a result, or of
-- a test that is named otherwise. (Those of results as they stood: `before` notes them.)
INSERT INTO stage.changed
SELECT DISTINCT utc_date, test_id FROM core.results
WHERE result_key IN (FROM touched_results)
   OR run_key IN (FROM touched_runs)
   OR (provider, execution_id) IN (FROM touched_executions)
   OR result_key IN (SELECT result_key FROM told_otherwise)
   OR (provider, test_id) IN (FROM renamed_tests)
   -- without a version that has a name, a test has that of its newest named result
   OR (provider, test_id) IN (
        SELECT provider, test_id
        FROM (FROM named_before UNION
              SELECT provider, test_id FROM core.results WHERE result_key IN (FROM touched_results) AND test_name IS NOT NULL) r
        WHERE NOT EXISTS (
            FROM core.tests t WHERE t.provider = r.provider AND t.test_id = r.test_id AND t.is_current AND t.name IS NOT NULL));
