-- Which TLS certificates run out soon? The newest certificate that each test saw.
WITH seen AS (
    SELECT c.* EXCLUDE (provider), r.provider, r.test_id, r.test_name, r.started_at AS seen_at
    FROM core.certificates c JOIN core.results r USING (result_key)
    WHERE c.valid_to_at IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY r.provider, r.test_id ORDER BY r.started_at DESC NULLS LAST, r.result_key DESC) = 1
), asked AS (
    SELECT x.result_key, arg_min(x.url, x.exchange_index) AS url, arg_min(x.host, x.exchange_index) AS host
    FROM core.exchanges x SEMI JOIN seen USING (result_key) GROUP BY x.result_key
)
SELECT
    s.provider, s.test_id, coalesce(d.name, s.test_name) AS test_name,
    coalesce(
        a.host,
        nullif(regexp_extract(a.url, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?([^/:?#]+)', 1), ''),
        nullif(regexp_extract(d.target_url, '^(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:[^/@]*@)?([^/:?#]+)', 1), ''),
        s.subject_cn) AS host,
    s.subject_cn, s.issuer_cn, s.serial_number, s.valid_from_at, s.valid_to_at, s.seen_at,
    floor((epoch(s.valid_to_at) - epoch(now())) / 86400)::BIGINT AS days_left
FROM seen s
LEFT JOIN asked a USING (result_key)
LEFT JOIN core.tests d ON d.provider = s.provider AND d.test_id = s.test_id AND d.is_current
