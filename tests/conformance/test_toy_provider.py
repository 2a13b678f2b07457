"""A provider that is not in the repository, only a folder somewhere else, is held to the same promises, and can break them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.providers import load_providers
from tests.conformance.fixtures import INDEX, load_fixtures
from tests.conformance.suite import Suite, violations
from tests.support import toy_provider


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with toy_provider.installed(tmp_path) as folder:
        yield folder


def found_in(name: str, *, until: str = "") -> dict[str, str]:
    """A violation of each promise that the whole suite finds broken, up to the first one of the promise `until`."""
    suite = Suite(load_providers()[name])
    found: dict[str, str] = {}
    try:
        for _, promise, violation in violations(suite):
            found.setdefault(promise, violation)
            if promise == until:
                break
    finally:
        suite.close()
    return found


@pytest.mark.usefixtures("folder")
def test_a_folder_from_elsewhere_passes_the_whole_suite() -> None:
    assert found_in(toy_provider.NAME) == {}


@pytest.mark.parametrize(
    ("module", "right", "wrong", "broken"),
    [
        ("__init__.py", ", read=from_iso", "", "nothing_becomes_null_silently"),
        ("flatten.py", "* 1000", "* 500", "expected_rows"),
        ("flatten.py", "* 1000", "* 1e12", "is_plausible"),
        ("flatten.py", "doc.select(\n", 'doc.filter(pl.col("took_s") > 0).select(\n', "is_loaded_or_rejected"),
    ],
)
def test_a_broken_promise_is_found_out(folder: Path, module: str, right: str, wrong: str, broken: str) -> None:
    assert right in toy_provider.MODULES[module]
    (folder / module).write_text(toy_provider.MODULES[module].replace(right, wrong))
    assert broken in found_in(toy_provider.NAME, until=broken)


def test_a_provider_without_fixtures_is_told_what_to_add(folder: Path) -> None:
    index = folder / "fixtures" / INDEX
    told = json.loads(index.read_text())
    index.write_text(json.dumps(told | {"endpoints": {}}))
    provider = load_providers()[toy_provider.NAME]
    with pytest.raises(AssertionError, match=r"acme has no fixture for its endpoint runs: add one to .*fixtures\.json"):
        load_fixtures(provider)
    index.unlink()
    with pytest.raises(AssertionError, match=r"acme has no fixtures: add payloads, and the index .*fixtures\.json"):
        load_fixtures(provider)
