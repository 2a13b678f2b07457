"""Every kind of value that a query can give, as JSON and CSV can hold it: exact, or as text."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from pipelines.flows.query import run_query

VALUES = {
    "NULL": None,
    "true": True,
    "9007199254740991": 9007199254740991,
    "9007199254740993": "9007199254740993",
    "-9007199254740993": "-9007199254740993",
    "170141183460469231731687303715884105727": "170141183460469231731687303715884105727",
    "1.5::DOUBLE": 1.5,
    "'nan'::DOUBLE": "nan",
    "'-inf'::FLOAT": "-inf",
    "0.1::DECIMAL(3,1)": 0.1,
    "12345678901234567.89::DECIMAL(20,2)": "12345678901234567.89",
    "TIMESTAMPTZ '2026-11-22 01:00:00+02'": "2026-11-21T23:00:00Z",
    "TIMESTAMP '2026-11-22 01:00:00'": "2026-11-22T01:00:00",
    "DATE '2026-11-22'": "2026-11-22",
    "TIME '01:02:03.5'": "01:02:03.500000",
    "INTERVAL 90 MINUTE": "PT5400S",
    "'\\x00\\xFFa'::BLOB": "AP9h",
    "[1, 9007199254740993]": [1, "9007199254740993"],
    "{'a': DATE '2026-11-22', 'b': [NULL]}": {"a": "2026-11-22", "b": [None]},
    "MAP {1: 'x'}": {"1": "x"},
    "'5e551011-0000-4000-8000-000000000000'::UUID": "5e551011-0000-4000-8000-000000000000",
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("values") / "warehouse.duckdb"
    duckdb.connect(str(path)).close()
    return path


def test_every_kind_of_value_is_exact_or_text(warehouse: Path) -> None:
    sql = "SELECT " + ", ".join(f"{value} AS c{number}" for number, value in enumerate(VALUES))
    (row,) = run_query(warehouse, sql).rows
    assert dict(zip(VALUES, row, strict=True)) == VALUES
    assert json.loads(json.dumps(row, allow_nan=False)) == list(row)


def test_a_key_is_text_however_small_it_is(warehouse: Path) -> None:
    answer = run_query(warehouse, "SELECT 7 AS result_key, 7 AS run_key, 7 AS steps")
    assert list(answer.rows[0]) == ["7", "7", 7]
