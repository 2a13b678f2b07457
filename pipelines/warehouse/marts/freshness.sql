-- How old is the newest data of each endpoint, and what is open or rejected?
WITH payloads AS (
    SELECT provider, endpoint, count(*) AS payloads, max(fetched_at) AS last_landed_at,
        count(*) FILTER (state = 'loaded' AND is_open) AS open
    FROM meta.versions GROUP BY ALL
), started AS (
    SELECT provider, result_id AS entity_id, started_at FROM core.results
    UNION ALL SELECT provider, run_id, started_at FROM core.runs
), events AS (
    SELECT v.provider, v.endpoint, max(s.started_at) AS last_event_at
    FROM meta.versions v JOIN started s USING (provider, entity_id)
    WHERE v.state = 'loaded' GROUP BY ALL
), loads AS (
    SELECT provider, endpoint, max(loaded_at) AS last_loaded_at FROM meta.loads GROUP BY ALL
), rejects AS (
    SELECT provider, endpoint, count(DISTINCT row(entity_id, payload_sha256)) AS rejected
    FROM meta.rejects WHERE scope = 'payload' AND resolved_at IS NULL GROUP BY ALL
), syncs AS (
    SELECT provider, max(ended_at) FILTER (error IS NULL) AS last_sync_at, arg_max_null(error, row(started_at, sync_id)) AS last_error
    FROM meta.syncs GROUP BY ALL
), endpoints AS (
    SELECT provider, endpoint FROM payloads UNION SELECT provider, endpoint FROM rejects
), everything AS (
    FROM endpoints
    UNION ALL SELECT provider, NULL FROM syncs ANTI JOIN endpoints USING (provider)
)
SELECT
    v.provider, v.endpoint,
    coalesce(p.payloads, 0) AS payloads,
    p.last_landed_at, e.last_event_at, l.last_loaded_at, s.last_sync_at, s.last_error,
    epoch(now()) - epoch(coalesce(e.last_event_at, p.last_landed_at)) AS lag_s,
    coalesce(p.open, 0) AS open,
    coalesce(r.rejected, 0) AS rejected
FROM everything v
LEFT JOIN payloads p USING (provider, endpoint)
LEFT JOIN events e USING (provider, endpoint)
LEFT JOIN loads l USING (provider, endpoint)
LEFT JOIN rejects r USING (provider, endpoint)
LEFT JOIN syncs s USING (provider)
