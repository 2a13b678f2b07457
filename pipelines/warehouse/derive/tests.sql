-- core.tests: a version per change of name, type, config, locations, tags, frequency or pause state, in order of observation. A value that a
-- sighting does not tell is no change; each endpoint is compared with itself, so that two ways of writing one configuration are not two
-- versions. What an endpoint says again is no news and is passed over (`said` is the hash of all that a sighting says), so that most loads
-- leave most tests as they stand: only those are derived anew for which a touched place says other things than the news up to it.
-- A place is one instant of one endpoint; of several sightings at one place the first entity's stands.
CREATE OR REPLACE TEMP TABLE touched_tests AS
WITH places AS (
    SELECT DISTINCT * FROM touched_sightings
), standing AS (
    SELECT {place}, arg_min(said, (entity_id, said)) AS said FROM stage.sightings SEMI JOIN places USING ({place})
    WHERE observed_at >= {since} GROUP BY ALL
), told AS (
    SELECT {place}, s.said, NULL AS news FROM places LEFT JOIN standing s USING ({place})
    UNION ALL
    SELECT {place}, said, said AS news FROM stage.news SEMI JOIN places USING (provider, test_id)
), compared AS (
    SELECT *,
        last_value(news IGNORE NULLS) OVER (
            PARTITION BY provider, test_id, endpoint, origin ORDER BY observed_at RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS last_news,
        max(news) OVER (PARTITION BY {place}) AS own_news
    FROM told
)
SELECT DISTINCT provider, test_id FROM compared
WHERE news IS NULL AND CASE WHEN said IS NULL THEN own_news IS NOT NULL ELSE said IS DISTINCT FROM last_news END;

-- The news of these tests: what was news before the first touched place of an endpoint still is; from there on it is looked for anew.
CREATE OR REPLACE TEMP TABLE news_since AS
SELECT provider, test_id, endpoint, origin, min(observed_at) AS since
FROM touched_sightings SEMI JOIN touched_tests USING (provider, test_id) GROUP BY ALL;

DELETE FROM stage.news USING news_since s
WHERE news.provider = s.provider AND news.test_id = s.test_id AND news.endpoint = s.endpoint AND news.origin = s.origin
  AND news.observed_at >= s.since;

INSERT INTO stage.news
SELECT * FROM stage.sightings
WHERE observed_at >= {since} AND rowid IN (
    SELECT rowid FROM (
        SELECT rowid, {place}, said FROM (
            SELECT s.rowid, s.entity_id, {place}, s.said
            FROM stage.sightings s JOIN news_since n USING (provider, test_id, endpoint, origin)
            WHERE s.observed_at >= {since} AND s.observed_at >= n.since
            QUALIFY row_number() OVER (PARTITION BY {place} ORDER BY s.entity_id, s.said) = 1)
        UNION ALL
        SELECT NULL, {place}, said FROM stage.news SEMI JOIN news_since USING (provider, test_id, endpoint, origin))
    QUALIFY said IS DISTINCT FROM lag(said) OVER (PARTITION BY provider, test_id, endpoint, origin ORDER BY observed_at));

CREATE OR REPLACE TEMP TABLE sighted AS FROM stage.news SEMI JOIN touched_tests USING (provider, test_id);

CREATE OR REPLACE TEMP TABLE versions_before AS
SELECT provider, test_id, valid_from_at, is_current, name, test_type FROM core.tests SEMI JOIN touched_tests USING (provider, test_id);

CREATE OR REPLACE TEMP TABLE marked AS
SELECT *, coalesce(row_number() OVER everything = 1 OR {changed}, false) AS is_new
FROM (SELECT *, {previous} FROM sighted
      WINDOW own AS (PARTITION BY provider, test_id, endpoint, origin ORDER BY observed_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
             kind AS (PARTITION BY provider, test_id, origin ORDER BY observed_at, endpoint ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
             every_one AS (PARTITION BY provider, test_id ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
WINDOW everything AS (PARTITION BY provider, test_id ORDER BY {order});

CREATE OR REPLACE TEMP TABLE numbered AS
SELECT *, sum(is_new::INT) OVER (PARTITION BY provider, test_id ORDER BY {order} ROWS UNBOUNDED PRECEDING) AS version
FROM marked;

DELETE FROM core.tests USING touched_tests t WHERE tests.provider = t.provider AND tests.test_id = t.test_id;

INSERT INTO core.tests BY NAME
WITH told AS (
    SELECT provider, test_id, version, min(observed_at) AS valid_from_at, {told}
    FROM numbered GROUP BY provider, test_id, version
), one AS (  -- two versions observed at one instant: the later one stands
    SELECT * FROM told QUALIFY row_number() OVER (PARTITION BY provider, test_id, valid_from_at ORDER BY version DESC) = 1
), named AS (
    SELECT *, last_value(seen_name IGNORE NULLS) OVER (PARTITION BY provider, test_id ORDER BY version) AS last_seen_name FROM one
)
SELECT
    provider, test_id, valid_from_at,
    lead(valid_from_at) OVER versions AS valid_to_at,
    lead(valid_from_at) OVER versions IS NULL AS is_current,
    {carried}
FROM named
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
WITH concerned AS MATERIALIZED (  -- an ASOF join of many rows takes NULL for the latest instant (DuckDB 1.5.5)
    SELECT result_key, provider, test_id, coalesce(started_at, TIMESTAMPTZ '-infinity') AS started_at FROM core.results
    WHERE result_key IN (FROM touched_results UNION SELECT result_key FROM core.results SEMI JOIN changed_tests USING (provider, test_id))
), first_told AS (
    SELECT provider, test_id, min(valid_from_at) AS valid_from_at, arg_min(name, valid_from_at) AS name, arg_min(test_type, valid_from_at) AS test_type
    FROM core.tests GROUP BY ALL
)
SELECT r.result_key,
    coalesce(t.valid_from_at, f.valid_from_at) AS test_valid_from_at,
    coalesce(t.name, f.name) AS name,
    coalesce(t.test_type, f.test_type) AS test_type
FROM concerned r
ASOF LEFT JOIN core.tests t ON t.provider = r.provider AND t.test_id = r.test_id AND t.valid_from_at <= r.started_at
LEFT JOIN first_told f ON f.provider = r.provider AND f.test_id = r.test_id;

UPDATE core.results r SET test_valid_from_at = v.test_valid_from_at
FROM ran_as v WHERE r.result_key = v.result_key AND r.test_valid_from_at IS DISTINCT FROM v.test_valid_from_at;

CREATE OR REPLACE TEMP TABLE told_otherwise AS
SELECT r.result_key,
    CASE WHEN s.tells_name THEN r.test_name ELSE v.name END AS test_name,
    CASE WHEN s.tells_type THEN r.test_type ELSE v.test_type END AS test_type
FROM core.results r JOIN (FROM ran_as WHERE hash(result_key) IS NOT NULL) v USING (result_key)
JOIN (SELECT result_key, bool_or(test_name IS NOT NULL) AS tells_name, bool_or(test_type IS NOT NULL) AS tells_type
      FROM stage.results WHERE result_key IN (SELECT result_key FROM ran_as WHERE hash(result_key) IS NOT NULL) GROUP BY result_key) s USING (result_key)
WHERE (r.test_name IS DISTINCT FROM v.name AND NOT s.tells_name) OR (r.test_type IS DISTINCT FROM v.test_type AND NOT s.tells_type);

UPDATE core.results r SET test_name = v.test_name, test_type = v.test_type FROM told_otherwise v WHERE r.result_key = v.result_key;

CREATE OR REPLACE TEMP TABLE renamed_tests AS
SELECT provider, test_id
FROM (FROM versions_before WHERE is_current) b
FULL JOIN (FROM versions_after WHERE is_current) a USING (provider, test_id)
WHERE a.name IS DISTINCT FROM b.name;
