"""What every fixture becomes, kept beside it for eyes and for diffs: `<name>.rows.json`.

`python -m tests.conformance.expected --write [provider ...]` writes the files anew; read the diff before it is committed.

Rows by table in the order of their keys, without NULL columns (a new column touches only the fixtures that fill it), hash keys and
`entity_id`; JSON columns as JSON; `of` names the result where a payload tells of several. Rejects and drift stand beside the tables.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import polars as pl

from pipelines.flows.load import flatten
from pipelines.lake.redact import Redactor
from pipelines.providers import load_providers
from pipelines.schemas import FLATTENED
from pipelines.transform.decode import decode
from pipelines.transform.drift import find_drift
from pipelines.warehouse.connect import memory
from tests.conformance.bench import KEY, Version, masked
from tests.conformance.fixtures import Fixture, Fixtures, load_fixtures

_LEFT_OUT = frozenset({"entity_id", "outcome_rank", "result_key", "run_key"})

Rows = dict[str, list[Any]]


def rows_of(fixtures: Sequence[Fixture]) -> dict[str, Rows]:
    """Fixture's name -> rows by table, `rejects` and `drift`, as the load gets them. All fixtures are of one endpoint."""
    found: dict[str, Rows] = {}
    waiting = {fixture.name: fixture for fixture in fixtures}
    while waiting:  # at once whatever is not another version of the same entity
        once = {fixture.id_of(fixture.document): fixture for fixture in waiting.values()}
        found |= _rows_of(once)
        waiting = {name: fixture for name, fixture in waiting.items() if name not in found}
    return found


def _rows_of(fixtures: Mapping[str, Fixture]) -> dict[str, Rows]:
    """The same for fixtures by entity id."""
    redactor, endpoint = Redactor(KEY), next(iter(fixtures.values())).endpoint
    rows = [masked(redactor, Version(endpoint, id_, fixture.parent_id, fixture.document)) for id_, fixture in fixtures.items()]
    names = ("entity_id", "parent_id", "fetched_at", "window_date", "payload")
    frame = pl.DataFrame(
        [{name: getattr(row, name) for name in names} for row in rows],
        schema_overrides={"parent_id": pl.String, "fetched_at": pl.Datetime("us", "UTC"), "window_date": pl.Date},
    )
    connection = memory()
    decoded, undecoded = decode(frame, endpoint.tree, connection=connection)
    assert undecoded.is_empty(), f"no JSON object: {undecoded['entity_id'].to_list()}"
    frames, rejects = flatten(endpoint, decoded)
    drift = find_drift(frame, decoded, endpoint.tree, connection=connection)
    if "drift" in frames:
        drift = pl.concat([drift, frames.pop("drift").select(drift.columns)])
    found: dict[str, Rows] = {}
    for id_, fixture in fixtures.items():
        mine = {name: each.filter(pl.col("entity_id") == id_) for name, each in (frames | {"rejects": rejects, "drift": drift}).items()}
        others = {
            "rejects": mine.pop("rejects").drop("entity_id").to_dicts(),
            "drift": [list(row) for row in sorted(set(mine.pop("drift").select("json_pointer", "kind").rows()))],
        }
        owners = _owners(mine)
        tables = {name: [_plain(row, name, owners) for row in _sorted(each, name, owners).to_dicts()] for name, each in mine.items()}
        found[fixture.name] = {name: each for name, each in {**tables, **others}.items() if each}
    return found


def differences(fixtures: Fixtures, endpoint: str) -> list[str]:
    """Where the fixtures of an endpoint become other rows than kept."""
    found: list[str] = []
    rows = rows_of(fixtures.of(endpoint))
    for fixture in fixtures.of(endpoint):
        if not fixture.rows_path.is_file():
            found.append(f"{fixture.name}: {fixture.rows_path} is missing: python -m tests.conformance.expected --write")
            continue
        kept, now = json.loads(fixture.rows_path.read_text(encoding="utf-8")), json.loads(_text(rows[fixture.name]))
        for table in sorted(kept.keys() | now.keys()):
            lists = [each.get(table, []) for each in (kept, now)]
            if lists[0] != lists[1]:
                found.append(f"{fixture.name}: {table} {_first_difference(*lists)}")
    return found


def _first_difference(kept: list[Any], now: list[Any]) -> str:
    if len(kept) != len(now):
        return f"has {len(now)} rows instead of {len(kept)}"
    place = next(number for number, pair in enumerate(zip(kept, now, strict=True)) if pair[0] != pair[1])
    if not isinstance(kept[place], dict):
        return f"row {place} is {now[place]} instead of {kept[place]}"
    names = [name for name in kept[place] | now[place] if kept[place].get(name) != now[place].get(name)]
    return f"row {place}: " + ", ".join(f"{name} is {now[place].get(name)!r} instead of {kept[place].get(name)!r}" for name in names)


def _owners(frames: Mapping[str, pl.DataFrame]) -> dict[int, str]:
    """What to call the results that child rows belong to: nothing where there is only one."""
    results = frames["results"] if "results" in frames else pl.DataFrame({"result_key": []})
    return {} if results.height < 2 else {row["result_key"]: f"{row['result_id']} #{row['attempt']}" for row in results.to_dicts()}


def _sorted(frame: pl.DataFrame, name: str, owners: Mapping[int, str]) -> pl.DataFrame:
    table = FLATTENED[name]
    keys = [key for key in ("run_id", "result_id", "attempt", "test_id", *table.model.primary_key()) if key in frame.columns]
    if table.owner == "result_key":
        keys = [key for key in keys if not key.endswith("_key")]
        order = pl.col("result_key").replace_strict(owners, default="", return_dtype=pl.String)
        return frame.sort(order, *keys, maintain_order=True)
    return frame.sort([key for key in keys if not key.endswith("_key")], maintain_order=True)


def _plain(row: dict[str, Any], table: str, owners: Mapping[int, str]) -> dict[str, Any]:
    declared = FLATTENED[table]
    kinds = {name: column.metadata["sql"] for name, column in declared.columns.items()}
    owner = {"of": owners[row["result_key"]]} if declared.owner == "result_key" and owners else {}
    return owner | {
        name: json.loads(value) if kinds.get(name) == "JSON" else value.isoformat() if isinstance(value, datetime | date) else value
        for name, value in row.items()
        if value is not None and name not in _LEFT_OUT
    }


def _text(rows: Rows) -> str:
    """One row a line."""
    tables = [
        f"  {json.dumps(name)}: [\n    {(',' + chr(10) + '    ').join(json.dumps(row, ensure_ascii=False) for row in each)}\n  ]"
        for name, each in rows.items()
    ]
    return "{\n" + ",\n".join(tables) + "\n}\n"


def main(arguments: list[str]) -> int:
    """Write the files, or say where they differ."""
    names = [argument for argument in arguments if not argument.startswith("-")]
    found: list[str] = []
    for name, provider in load_providers().items():
        if names and name not in names:
            continue
        fixtures = load_fixtures(provider)
        if "--write" in arguments:
            rows = {name: each for endpoint in provider.endpoints for name, each in rows_of(fixtures.of(endpoint.name)).items()}
            for fixture in fixtures.fixtures:
                fixture.rows_path.write_text(_text(rows[fixture.name]), encoding="utf-8")
        else:
            found += [f"{name}: {line}" for endpoint in provider.endpoints for line in differences(fixtures, endpoint.name)]
    print("\n".join(found))  # noqa: T201 - a command
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
