-- core.tests of the touched tests: a version per change of name, type, config, locations, tags, frequency or pause state, in order of
-- observation. A value that a sighting does not tell is no change; definitions and results are compared each with its own kind, so that
-- two ways of writing one configuration are not two versions.
-- Most results say what the sighting before them said: such a one is passed over (`said` is the hash of all that it says).
CREATE OR REPLACE TEMP TABLE sighted AS
SELECT provider, test_id, observed_at, origin, {fields}, attributes, target_url, status
FROM stage.sightings
WHERE rowid IN (
    SELECT rowid FROM (
        SELECT rowid, provider, test_id, observed_at, origin, said
        FROM stage.sightings SEMI JOIN touched_tests USING (provider, test_id)
        QUALIFY row_number() OVER (PARTITION BY provider, test_id, observed_at, origin ORDER BY entity_id) = 1)
    QUALIFY said IS DISTINCT FROM lag(said) OVER (PARTITION BY provider, test_id ORDER BY observed_at, origin));

CREATE OR REPLACE TEMP TABLE versions_before AS
SELECT provider, test_id, valid_from_at, is_current, name, test_type FROM core.tests SEMI JOIN touched_tests USING (provider, test_id);

CREATE OR REPLACE TEMP TABLE marked AS
SELECT *, coalesce(row_number() OVER everything = 1 OR {changed}, false) AS is_new
FROM (SELECT *, {previous} FROM sighted
      WINDOW own AS (PARTITION BY provider, test_id, origin ORDER BY observed_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
             every_one AS (PARTITION BY provider, test_id ORDER BY observed_at, origin ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
WINDOW everything AS (PARTITION BY provider, test_id ORDER BY observed_at, origin);

CREATE OR REPLACE TEMP TABLE numbered AS
SELECT *, sum(is_new::INT) OVER (PARTITION BY provider, test_id ORDER BY observed_at, origin ROWS UNBOUNDED PRECEDING) AS version
FROM marked;

DELETE FROM core.tests USING (SELECT DISTINCT * FROM touched_tests) t WHERE tests.provider = t.provider AND tests.test_id = t.test_id;

INSERT INTO core.tests BY NAME
WITH told AS (
    SELECT provider, test_id, version, min(observed_at) AS valid_from_at, {told}
    FROM numbered GROUP BY provider, test_id, version
), one AS (  -- two versions observed at one instant: the later one stands
    SELECT * FROM told QUALIFY row_number() OVER (PARTITION BY provider, test_id, valid_from_at ORDER BY version DESC) = 1
)
SELECT
    provider, test_id, valid_from_at,
    lead(valid_from_at) OVER versions AS valid_to_at,
    lead(valid_from_at) OVER versions IS NULL AS is_current,
    {carried}
FROM one
WINDOW versions AS (PARTITION BY provider, test_id ORDER BY version),
       so_far AS (PARTITION BY provider, test_id ORDER BY version ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
       later AS (PARTITION BY provider, test_id ORDER BY version ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING);

CREATE OR REPLACE TEMP TABLE versions_after AS
SELECT provider, test_id, valid_from_at, is_current, name, test_type FROM core.tests SEMI JOIN touched_tests USING (provider, test_id);

CREATE OR REPLACE TEMP TABLE changed_tests AS
SELECT DISTINCT provider, test_id
FROM ((FROM versions_after EXCEPT FROM versions_before) UNION ALL (FROM versions_before EXCEPT FROM versions_after));

-- Results join to the version that they ran as (the first version covers earlier ones); where their payload holds no name or type of the
-- test, that version tells it.
CREATE OR REPLACE TEMP TABLE ran_as AS
SELECT r.result_key,
    coalesce(max(t.valid_from_at) FILTER (t.valid_from_at <= r.started_at), min(t.valid_from_at)) AS test_valid_from_at,
    coalesce(arg_max(t.name, t.valid_from_at) FILTER (t.valid_from_at <= r.started_at), arg_min(t.name, t.valid_from_at)) AS name,
    coalesce(arg_max(t.test_type, t.valid_from_at) FILTER (t.valid_from_at <= r.started_at),
             arg_min(t.test_type, t.valid_from_at)) AS test_type
FROM core.results r
LEFT JOIN core.tests t ON t.provider = r.provider AND t.test_id = r.test_id
WHERE r.result_key IN (FROM touched_results) OR (r.provider, r.test_id) IN (FROM changed_tests)
GROUP BY r.result_key;

UPDATE core.results r SET test_valid_from_at = v.test_valid_from_at
FROM ran_as v WHERE r.result_key = v.result_key AND r.test_valid_from_at IS DISTINCT FROM v.test_valid_from_at;

CREATE OR REPLACE TEMP TABLE told_otherwise AS
SELECT r.result_key,
    CASE WHEN s.tells_name THEN r.test_name ELSE v.name END AS test_name,
    CASE WHEN s.tells_type THEN r.test_type ELSE v.test_type END AS test_type
FROM core.results r JOIN ran_as v USING (result_key)
JOIN (SELECT result_key, bool_or(test_name IS NOT NULL) AS tells_name, bool_or(test_type IS NOT NULL) AS tells_type
      FROM stage.results WHERE result_key IN (SELECT result_key FROM ran_as) GROUP BY result_key) s USING (result_key)
WHERE (r.test_name IS DISTINCT FROM v.name AND NOT s.tells_name) OR (r.test_type IS DISTINCT FROM v.test_type AND NOT s.tells_type);

UPDATE core.results r SET test_name = v.test_name, test_type = v.test_type FROM told_otherwise v WHERE r.result_key = v.result_key;

CREATE OR REPLACE TEMP TABLE renamed_tests AS
SELECT provider, test_id
FROM (FROM versions_before WHERE is_current) b
FULL JOIN (FROM versions_after WHERE is_current) a USING (provider, test_id)
WHERE a.name IS DISTINCT FROM b.name;
