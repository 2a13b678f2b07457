-- What came out of each run, how long did it take, and what was slowest? A run without results here has the counts that it was told with.
WITH part AS (
    FROM core.runs
), finals AS (
    SELECT run_key,
        count(*) AS executions,
        count(*) FILTER (is_passed) AS passed_count,
        count(*) FILTER (outcome = 'degraded') AS degraded_count,
        count(*) FILTER (NOT is_passed) AS failed_count,
        count(*) FILTER (outcome = 'aborted') AS aborted_count,
        count(*) FILTER (outcome = 'unresolved') AS unresolved_count,
        arg_max(result_key, row(duration_ms, result_key)) FILTER (duration_ms IS NOT NULL) AS slowest_result_key,
        arg_max_null(test_name, row(duration_ms, result_key)) FILTER (duration_ms IS NOT NULL) AS slowest_test_name,
        max(duration_ms) AS slowest_duration_ms
    FROM marts.executions SEMI JOIN (FROM part WHERE hash(run_key) IS NOT NULL) p USING (run_key) GROUP BY run_key
), members AS (
    SELECT run_key, count(DISTINCT execution_id) AS executions FROM core.results SEMI JOIN (FROM part WHERE hash(run_key) IS NOT NULL) p USING (run_key) GROUP BY run_key
)
SELECT
    u.run_key, u.provider, u.run_id, u.kind, u.name AS run_name, u.application, u.environment, u.status, u.outcome, u.is_terminal,
    u.started_at, u.ended_at, u.utc_date, u.duration_ms,
    coalesce(f.executions, 0) AS executions,
    coalesce(f.passed_count, CASE WHEN m.executions IS NULL THEN u.passed_count END, 0) AS passed_count,
    coalesce(f.degraded_count, 0) AS degraded_count,
    coalesce(f.failed_count, CASE WHEN m.executions IS NULL THEN u.failed_count END, 0) AS failed_count,
    coalesce(f.aborted_count, CASE WHEN m.executions IS NULL THEN u.aborted_count END, 0) AS aborted_count,
    coalesce(f.unresolved_count, CASE WHEN m.executions IS NULL THEN u.unresolved_count END, 0) AS unresolved_count,
    coalesce(m.executions, 0) - coalesce(f.executions, 0) AS pending_count,
    f.passed_count / nullif(f.passed_count + f.failed_count, 0) AS pass_rate,
    f.slowest_result_key, f.slowest_test_name, f.slowest_duration_ms,
    u.trigger, u.repo_url, u.branch, u.commit_sha, u.commit_author, u.commit_message, u.url
FROM part u
LEFT JOIN finals f USING (run_key)
LEFT JOIN members m USING (run_key)
