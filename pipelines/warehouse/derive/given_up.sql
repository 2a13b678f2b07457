-- A run that was given up because it never ended has the outcome `unknown` (contract §3).
UPDATE core.runs u SET outcome = 'unknown', is_terminal = true
FROM run_sides r JOIN meta.rejects j
  ON j.rule = 'stale_running' AND j.provider = r.provider AND j.endpoint = r.endpoint AND j.entity_id = r.entity_id
WHERE u.run_key = r.run_key AND NOT u.is_terminal;
