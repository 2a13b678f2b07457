-- meta.drift: what the current versions hold; rejects that a good version has replaced are resolved.
INSERT OR REPLACE INTO meta.drift BY NAME
SELECT provider, endpoint, json_pointer, kind, min(seen_at) AS first_seen_at, max(seen_at) AS last_seen_at, count(*) AS occurrences
FROM stage.drift GROUP BY ALL;
DELETE FROM meta.drift d WHERE NOT EXISTS (
    SELECT 1 FROM stage.drift s WHERE s.provider = d.provider AND s.endpoint = d.endpoint AND s.json_pointer = d.json_pointer
    AND s.kind = d.kind);

UPDATE meta.rejects j SET resolved_at = v.fetched_at
FROM (
    SELECT provider, endpoint, entity_id, max(fetched_at) AS fetched_at
    FROM meta.versions SEMI JOIN (FROM meta.rejects WHERE scope = 'payload') USING (provider, endpoint, entity_id)
    WHERE state = 'loaded' GROUP BY ALL) v
WHERE j.scope = 'payload' AND j.provider = v.provider AND j.endpoint = v.endpoint AND j.entity_id = v.entity_id
  AND v.fetched_at > j.first_seen_at AND j.resolved_at IS DISTINCT FROM v.fetched_at AND j.rule <> 'stale_running';
