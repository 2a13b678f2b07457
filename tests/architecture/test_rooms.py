"""Who may import whom, and which room owns which library. Ruff says it in the editor; here it is exact."""

import ast
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, dotted_names, imported_names, is_or_is_under, modules, name_of

OWNERS = {
    "httpx": ("pipelines/extract/*",),
    "duckdb": ("pipelines/warehouse/*", "pipelines/transform/decode.py", "pipelines/transform/drift.py"),
    "pyarrow.parquet": ("pipelines/lake/*",),
    "dagster": ("assets/*",),
    # What others read from nowhere else is set: DAGSTER_HOME by invocation.py, what allocators do by pipelines itself.
    "os.environ": ("pipelines/settings.py", "pipelines/__init__.py", "assets/invocation.py"),
    "os.getenv": ("pipelines/settings.py",),
}
CODE = [*modules("pipelines"), *modules("assets")]


def strangers(name: str, source: str) -> list[str]:
    """Libraries that a module uses although another room owns them."""
    tree = ast.parse(source)
    used = {*imported_names(tree), *dotted_names(tree)}
    return [
        library
        for library, rooms in OWNERS.items()
        if any(is_or_is_under(it, library) for it in used) and not any(fnmatch(name, room) for room in rooms)
    ]


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_a_library_stays_in_the_room_that_owns_it(path: Path) -> None:
    assert strangers(name_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("pipelines/report/page.py", "def f():\n    import duckdb", ["duckdb"]),
        ("pipelines/extract/client.py", "import httpx\nimport duckdb", ["duckdb"]),
        ("pipelines/warehouse/load.py", "from pyarrow import parquet", ["pyarrow.parquet"]),
        ("pipelines/lake/land.py", "import os\nhome = os.environ['HOME']", ["os.environ"]),
        ("pipelines/lake/land.py", "from os import getenv", ["os.getenv"]),
        ("pipelines/flows/pull.py", "from dagster import asset", ["dagster"]),
        ("pipelines/lake/scan.py", "import pyarrow.parquet as pq", []),
    ],
)
def test_a_stranger_is_seen_however_it_is_imported(name: str, source: str, expected: list[str]) -> None:
    assert strangers(name, source) == expected


def test_no_library_is_used_that_only_another_library_brought() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[\[<>=~! ]", it)[0] for it in project["dependencies"]}
    distributions = packages_distributions()
    undeclared = {
        (name_of(path), name)
        for path in CODE
        for name in imported_names(ast.parse(path.read_text()))
        if (top := name.partition(".")[0]) not in {"assets", "pipelines", *sys.stdlib_module_names}
        if not declared & {distribution.lower() for distribution in distributions.get(top, ())}
    }
    assert undeclared == set()


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize("path", modules("assets"), ids=name_of)
def test_dagster_can_read_the_annotations_of_assets(path: Path) -> None:
    # Postponed annotations turn an annotated `context` into text, and Dagster 1.13 then refuses the asset.
    assert "__future__.annotations" not in set(imported_names(ast.parse(path.read_text())))
