-- An outcome that the detail does not tell is taken from the list row's assertion at the same place with the same operator.
UPDATE core.assertions a
SET outcome = s.outcome, actual = coalesce(s.actual, a.actual), error_message = coalesce(a.error_message, s.error_message),
    outcome_endpoint = s.endpoint
FROM stage.assertions s
WHERE a.result_key IN (FROM touched_results) AND s.result_key = a.result_key AND s.assertion_index = a.assertion_index
  AND s.operator IS NOT DISTINCT FROM a.operator AND s.endpoint <> a.endpoint AND s.outcome <> 'unknown'
  AND (a.outcome = 'unknown' OR a.outcome_endpoint <> a.endpoint);
