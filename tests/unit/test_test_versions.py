"""`core.tests` from sightings: only tests about which there is news are derived anew, and what stands is what all at once would give."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from random import Random
from typing import Any

import duckdb
import polars as pl
import pytest

from pipelines.schemas import FLATTENED
from pipelines.transform.drift import COLUMNS
from pipelines.transform.validate import conform
from pipelines.warehouse.connect import memory, transaction
from pipelines.warehouse.ddl import create_all
from pipelines.warehouse.derive import derive
from pipelines.warehouse.load import Loader, Source

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ORIGINS = {"definitions": "definition", "results": "result", "session_results": "result"}

SCHEMA = {"entity_id": pl.String} | {name: column.dtype for name, column in FLATTENED["sightings"].columns.items()}

Payload = dict[str, Any]
"""A version of an entity and what it says of a test."""


def said(endpoint: str, entity_id: str, version: int, at: int, test_id: str = "t", **told: object) -> Payload:
    """`at`: hours after noon."""
    return {"endpoint": endpoint, "entity_id": entity_id, "version": version, "at": NOON + timedelta(hours=at), "test_id": test_id, **told}


def loaded(*loads: Sequence[Payload]) -> tuple[duckdb.DuckDBPyConnection, list[int]]:
    """A warehouse after these loads, and of each how many tests were derived anew."""
    connection = memory()
    create_all(connection)
    loader, anew = Loader(connection), []
    for payloads in loads:
        with transaction(connection):
            for (endpoint, version), together in groupby(payloads, itemgetter("endpoint", "version")):
                rows = [payload | {"observed_at": payload["at"], "origin": ORIGINS[endpoint]} for payload in together]
                common = {"payload_sha256": str(version), "fetched_at": NOON + timedelta(days=version), "finality": 1, "is_open": False}
                loader.load_round(
                    Source("acme", endpoint, is_summary=False, keeps_history=False),
                    pl.DataFrame([{"entity_id": row["entity_id"]} | common | {"raw_file": "f"} for row in rows]),
                    {"sightings": pl.DataFrame([[row.get(name) for name in SCHEMA] for row in rows], schema=SCHEMA, orient="row")},
                    pl.DataFrame(schema=COLUMNS),
                )
            derive(connection)
            anew += connection.execute("SELECT count(*) FROM touched_tests").fetchone() or ()
            loader.forget()
    return connection, anew


def versions(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, float, bool]]:
    """Name, hours after noon from which it is valid, whether it is current."""
    sql = "SELECT name, date_diff('hour', $noon, valid_from_at), is_current FROM core.tests ORDER BY provider, test_id, valid_from_at"
    return connection.execute(sql, {"noon": NOON}).fetchall()


def test_what_says_nothing_new_derives_no_test() -> None:
    first = [said("results", "1", 1, 0, name="Shop"), said("results", "2", 1, 4, name="Shop"), said("results", "3", 1, 1, "u", name="Cart")]
    again = [said("results", "4", 1, 2, name="Shop"), said("results", "5", 1, 6, name="Shop")]
    refetched = [said("results", "2", 2, 4, name="Shop")]
    connection, anew = loaded(first, again, refetched, [said("results", "6", 1, 8, name="Store")])
    assert anew == [2, 0, 0, 1]
    assert versions(connection) == [("Shop", 0, False), ("Store", 8, True), ("Cart", 1, True)]


def test_sighting_that_was_news_and_is_no_more_takes_its_version_with_it() -> None:
    first = [said("results", "1", 1, 0, name="Shop"), said("results", "2", 1, 4, name="Store")]
    connection, anew = loaded(first, [said("results", "2", 2, 4, name="Shop")])
    assert (anew, versions(connection)) == ([1, 1], [("Shop", 0, True)])


def test_endpoints_that_word_a_test_differently_do_not_take_turns_as_versions() -> None:
    turns = [said(endpoint, str(hour), 1, hour, name=endpoint) for hour, endpoint in enumerate(["results", "session_results"] * 4)]
    connection, _ = loaded(turns)
    assert versions(connection) == [("results", 0, False), ("session_results", 1, True)]


def test_rename_that_another_endpoint_saw_first_is_one_version() -> None:
    shop = [said("results", "1", 1, 0, name="Shop"), said("session_results", "1", 1, 1, name="Shop")]
    store = [said("session_results", "2", 1, 5, name="Store"), said("results", "2", 1, 6, name="Store")]
    connection, _ = loaded(shop, store)
    assert versions(connection) == [("Shop", 0, False), ("Store", 5, True)]


@pytest.mark.parametrize("count", [3, 1000])
def test_result_without_an_instant_ran_as_the_first_version_however_many_there_are(count: int) -> None:
    connection, _ = loaded([said("results", "first", 1, 0, name="Shop"), said("results", "second", 1, 4, name="Store")])
    results = pl.DataFrame({"result_key": range(count)}).with_columns(
        pl.lit("t").alias("test_id"),
        pl.when(pl.col("result_key") % 7 > 0).then(NOON + pl.duration(hours=pl.col("result_key") % 9)).alias("started_at"),
        pl.lit("passed").alias("outcome"),
        is_terminal=True,
        entity_id=pl.col("result_key").cast(pl.String),
        result_id=pl.col("result_key").cast(pl.String),
        attempt=1,
    )
    newest = results.select(
        "entity_id", payload_sha256=pl.lit("1"), fetched_at=pl.lit(NOON), finality=1, is_open=False, raw_file=pl.lit("f")
    )
    loader = Loader(connection)
    with transaction(connection):
        frames = {"results": conform(results, FLATTENED["results"], ("outcome_rank",))}
        loader.load_round(Source("acme", "results", is_summary=False, keeps_history=False), newest, frames, pl.DataFrame(schema=COLUMNS))
    for _ in range(2):  # the second time DuckDB knows how many there are, and joins them in another way
        with transaction(connection):
            derive(connection)
    found = connection.execute("SELECT DISTINCT test_valid_from_at, test_name FROM core.results WHERE started_at IS NULL").fetchall()
    assert found == [(NOON, "Shop")]


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_loads_and_replacements_gives_what_all_at_once_gives(seed: int) -> None:
    rng = Random(seed)
    payloads = [
        said(
            endpoint,
            str(number),
            version,
            rng.randrange(6),
            rng.choice("tu"),
            name=rng.choice(["Shop", "Shop", "Store", None]),
            config=rng.choice(['{"a":1}', '{"a":2}', None]),
            is_paused=rng.choice([True, False, None]),
        )
        for endpoint in ORIGINS
        for number in range(5)
        for version in range(1, rng.randrange(2, 4))
    ]
    together = itemgetter("endpoint", "version")
    whole, _ = loaded(sorted(payloads, key=together))
    rng.shuffle(payloads)
    cuts = sorted(rng.sample(range(len(payloads)), 4))
    parts, _ = loaded(*(sorted(payloads[start:end], key=together) for start, end in zip([0, *cuts], [*cuts, len(payloads)], strict=True)))
    for table in ("core.tests", "stage.news"):
        select = f"SELECT * FROM {table} ORDER BY ALL"
        assert parts.execute(select).fetchall() == whole.execute(select).fetchall()
