-- {schema_table}: what only a list row tells stands until a detail tells it.
DELETE FROM core.{table} WHERE {owner} IN (FROM {touched}) AND endpoint IN (SELECT DISTINCT endpoint FROM stage.{table});
INSERT INTO core.{table} BY NAME
SELECT * FROM stage.{table} s
WHERE {owner} IN (FROM {touched}) AND NOT EXISTS (SELECT 1 FROM core.{table} c WHERE c.{owner} = s.{owner});
