"""A flatten gives the same rows for the same payloads, wherever and whenever it runs."""

import ast
from pathlib import Path

import pytest

from tests.architecture.sources import dotted_names, imported_names, is_or_is_under, modules, name_of

OUTSIDE = (
    *("asyncio", "duckdb", "glob", "httpx", "io", "logging", "multiprocessing", "os", "pathlib", "random", "requests"),
    *(
        "secrets",
        "shutil",
        "socket",
        "structlog",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "urllib.request",
    ),
    *("uuid", "warnings", "pyarrow.parquet", "pipelines.clock", "pipelines.settings", "pipelines.extract"),
)
CLOCK_AND_FILES = ("now", "utcnow", "today", "read_text", "write_text")
BUILTINS = ("open", "print", "input", "exec", "eval", "__import__")
POLARS_IO = ("read_", "scan_", "write_", "sink_")


def impurities(source: str) -> list[str]:
    """Names in a module by which clock, randomness, files, network or a logger could get in."""
    tree = ast.parse(source)
    imported = {name for name in imported_names(tree) if any(is_or_is_under(name, it) for it in OUTSIDE)}
    used = {
        name
        for name in dotted_names(tree)
        if name in BUILTINS
        or ("." in name and name.rpartition(".")[2] in CLOCK_AND_FILES)
        or ("." in name and name.rpartition(".")[2].startswith(POLARS_IO))
    }
    return sorted(imported | used)


FLATTENS = [path for path in modules("pipelines/providers") if path.name.startswith("flatten") or "flatten" in path.parts]


# Empty only as long as no provider stands.
@pytest.mark.parametrize("path", FLATTENS, ids=name_of)
def test_flatten_reads_neither_clock_nor_files_nor_network(path: Path) -> None:
    assert impurities(path.read_text()) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from datetime import datetime\nat = datetime.now()", ["datetime.now"]),
        ("import datetime as dt\nat = dt.datetime.now(dt.UTC)", ["dt.datetime.now"]),
        ("import logging", ["logging"]),
        ("from pathlib import Path", ["pathlib", "pathlib.Path"]),
        ("def f():\n    import random", ["random"]),
        ("rows = open('x').read()", ["open"]),
        ("import polars as pl\nframe = pl.read_json('x')", ["pl.read_json"]),
        ("import polars as pl\nname = pl.col('name').str.to_lowercase()", []),
    ],
)
def test_an_impurity_is_seen(source: str, expected: list[str]) -> None:
    assert impurities(source) == expected
