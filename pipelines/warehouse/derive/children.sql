-- {schema_table}: what only a list row tells stands until a detail tells it.
DELETE FROM core.{table} WHERE {owner} IN (FROM {touched}) AND endpoint IN (SELECT DISTINCT endpoint FROM stage.{table});
INSERT INTO core.{table} BY NAME
SELECT * FROM stage.{table}
WHERE {owner} IN (FROM {touched} EXCEPT SELECT {owner} FROM core.{table} WHERE {owner} IN (FROM {touched}));
