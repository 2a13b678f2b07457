"""The column `source` of the dictionary: the providers' declared places turned round."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import duckdb
import pytest

from docs.render import dictionary as page
from docs.render import folded
from pipelines.flows.refresh import column_sources
from pipelines.providers import load_providers
from pipelines.schemas import CORE, META, RESULTS, SIGHTINGS, TESTS
from pipelines.schemas.dictionary import fields_of, source_of, sources
from pipelines.schemas.marts import MARTS
from pipelines.schemas.places import SECONDS, Places, at
from pipelines.warehouse.ddl import create_all, write_dictionary

KNOWN = sources(
    [
        ("zeta/runs", Places("/id", {"": "results.attributes", "/id": "results.result_id", "/deep/bit": "results.attributes#/bit"})),
        (
            "alpha/results",
            Places(
                "/id",
                {
                    "/id": ("results.result_id", "results.execution_id"),
                    "/other/id": "results.result_id",
                    "/took": at("results.duration_ms", SECONDS),
                    "/options": "results.attributes",
                    "/options/only": "results.attributes#/only",
                    "/optional": "results.attributes",
                    "/check/name": ("sightings.name", "tests.name"),
                    "/check/name_again": "steps.name",
                },
            ),
        ),
        ("alpha/undeclared", None),
    ]
)


@pytest.mark.parametrize(
    ("column", "source"),
    [
        ("result_id", "alpha/results: /id, /other/id; zeta/runs: /id"),
        ("execution_id", "alpha/results: /id"),
        ("duration_ms", "alpha/results (s x 1000): /took"),
        ("attributes", "alpha/results: /optional, /options; zeta/runs: (the rest)"),
        ("is_final", "derived"),
        ("result_key", "payload"),
    ],
)
def test_a_column_names_the_fields_it_comes_from(column: str, source: str) -> None:
    assert source_of(RESULTS, column, KNOWN) == source


def test_a_definitions_field_is_named_once_however_it_gets_there() -> None:
    assert source_of(TESTS, "name", KNOWN) == "alpha/results: /check/name"
    assert fields_of(TESTS, "name", KNOWN) == {"alpha/results": ("/check/name",)}


def test_a_column_of_the_same_name_in_another_schema_is_not_taken_for_it() -> None:
    run_summary, syncs = MARTS["run_summary"], META["syncs"]
    known = sources([("alpha/results", Places("/id", {"/name": "run_summary.run_name", "/error": "syncs.error"}))])
    assert source_of(run_summary, "run_name", known) == "derived"
    assert source_of(syncs, "error", known) == "derived"


def test_fields_that_differ_in_one_place_are_shown_as_one() -> None:
    pointers = ("/api/url", "/api/urls/*", "/browser/url", "/browser/urls/*", "/id", "/name")
    assert folded(pointers) == ["/{api,browser}/url", "/{api,browser}/urls/*", "/{id,name}"]


def test_every_declared_place_is_a_column_that_there_is() -> None:
    columns = {f"{table.name}.{column}" for table in (*CORE.values(), SIGHTINGS) for column in table.columns}
    places = column_sources(load_providers())
    assert [(column, list(places[column])) for column in places if column not in columns] == []
    assert len(places) > 30


def test_meta_columns_and_the_page_tell_the_same_of_every_column(tmp_path: Path) -> None:
    known = column_sources(load_providers())
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        create_all(connection)
        write_dictionary(connection, MARTS.values(), known)
        names = "schema_name, table_name, column_name, data_type, unit, description, source"
        rows = connection.execute(f"SELECT {names} FROM meta.columns").fetchall()
    tables = [*CORE.values(), *MARTS.values(), *META.values()]
    assert {row[:3] for row in rows} == {(table.schema_name, table.name, column) for table in tables for column in table.columns}
    sections = {part.partition("\n")[0]: part.replace("\\|", "|") for part in page().split("\n## ")}
    for schema, table, column, data_type, unit, description, source in rows:
        start = f"| `{column}` | {data_type} | {unit or ''} | {description} |"
        (line,) = [line for line in sections[f"{schema}.{table}"].splitlines() if line.startswith(start)]
        assert fields(line.removeprefix(start).strip(" |")) == (fields(source) if schema == "core" else [])


def fields(source: str) -> list[str]:
    """The single fields of a source with their endpoint, sorted: `a/b: /x/{y,z}` is `a/b: /x/y` and `a/b: /x/z`."""
    found = []
    for part in source.replace("`", "").replace("<br>", "; ").split("; ") if source else []:
        origin, _, listed = part.rpartition(": ")
        for field in listed.split(", "):
            choices = [choice.strip("{}").split(",") for choice in re.split(r"(\{[^}]*\})", field)]
            found += [f"{origin}: {''.join(names)}" for names in itertools.product(*choices)]
    return sorted(found)
