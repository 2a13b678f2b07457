"""What a refresh says it changed, and the checks that are asked of that alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.flows import load
from pipelines.flows import refresh as flow
from pipelines.sandbox.server import serve
from pipelines.sandbox.world import World
from pipelines.schemas import CHILDREN
from pipelines.warehouse.checks import run_checks
from tests.support.house import House

LATER = timedelta(hours=2)
_OWNERS = {name: str(table.owner) for name, table in CHILDREN.items()} | {"results": "result_key", "runs": "run_key"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Synced once; there is more to be synced."""
    with serve(World(seed=5, days=1, now=datetime.now(UTC) - LATER)) as server:
        house = House(tmp_path_factory.mktemp("home"), server, environ={"RESULTHOUSE_START_DAYS": "1"})
        house.track()
        _, first = house.sync()
        assert first.changed is None, "of a first load everything is new"
        server.world.advance(LATER)
        house.track()
        house.pull()
        yield house


def copied(house: House, folder: Path) -> House:
    """The same house once more, for a test that goes on with it."""
    shutil.copytree(house.home, folder / "home")
    return House(folder / "home", None)


def keys_that_differ(before: Path, after: Path) -> dict[str, set[int]]:
    """Of the rows of core that are in one file and not in the other, whichever version of their test results ran as."""
    found: dict[str, set[int]] = {"result_key": set(), "run_key": set()}
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"ATTACH '{before}' AS a (READ_ONLY); ATTACH '{after}' AS b (READ_ONLY)")
        for name, key in _OWNERS.items():
            columns = "* EXCLUDE (test_valid_from_at)" if name == "results" else "*"
            a, b = (f"SELECT {columns} FROM {file}.core.{name}" for file in "ab")
            rows = connection.execute(f"SELECT {key} FROM (({a} EXCEPT ALL {b}) UNION ALL ({b} EXCEPT ALL {a}))").fetchall()
            found[key].update(row[0] for row in rows)
    return found


def test_refresh_names_every_result_and_run_in_which_the_published_file_is_another_one(house: House, tmp_path: Path) -> None:
    other = copied(house, tmp_path)
    published = other.settings.warehouse
    shutil.copy2(published, tmp_path / "before.duckdb")
    changed = other.refresh().changed
    differ = keys_that_differ(tmp_path / "before.duckdb", published)
    assert changed is not None
    assert min(map(len, differ.values())) > 3
    for key, keys in differ.items():
        assert keys <= changed[key], key
    ((results,),) = other.ask("SELECT count(*) FROM core.results")
    assert len(changed["result_key"]) < int(str(results)), "not everything: an old result stands"
    assert [(check.name, bad) for check, bad in run_checks(published, changed) if bad] == []


@pytest.mark.parametrize("what", ["another file stands there", "what was loaded was not published", "too much"])
def test_refresh_that_cannot_know_or_changed_too_much_names_nothing(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    other = copied(house, tmp_path)
    if what == "another file stands there":
        other.settings.warehouse.unlink()
    elif what == "too much":
        monkeypatch.setattr(load, "MOST_TOUCHED", 3)
    else:  # killed after the work file was written

        def killed(*given: object) -> int:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(flow, "publish", killed)
            with pytest.raises(KeyboardInterrupt):
                other.refresh()
    report = other.refresh()
    assert (report.published, report.changed) == (True, None)


@pytest.mark.parametrize(
    ("check", "place", "broken"),
    [
        ("keys_unique", "steps", "INSERT INTO core.steps FROM core.steps LIMIT 1"),
        ("parents_exist", "steps", "DELETE FROM core.results WHERE result_key = (SELECT result_key FROM core.steps LIMIT 1)"),
        (
            "parents_exist",
            "environments",
            "DELETE FROM core.runs WHERE run_key = (SELECT run_key FROM core.environments LIMIT 1)",
        ),
        (
            "one_final_try",
            "results",
            "UPDATE core.results SET execution_id = (SELECT min(execution_id) FROM core.results WHERE is_final AND provider = 'checkly'),"
            " is_final = true WHERE result_key = (SELECT result_key FROM core.results WHERE is_final AND provider = 'checkly'"
            " ORDER BY execution_id DESC LIMIT 1)",
        ),
    ],
)
def test_check_of_what_changed_finds_what_is_broken_there_and_a_whole_one_all(
    house: House, tmp_path: Path, check: str, place: str, broken: str
) -> None:
    before, after = tmp_path / "before.duckdb", tmp_path / "after.duckdb"
    shutil.copy2(house.settings.warehouse, before)
    shutil.copy2(before, after)
    after.chmod(0o600)
    with duckdb.connect(str(after)) as connection:
        connection.execute(broken)
    differ = keys_that_differ(before, after)
    nothing: dict[str, set[int]] = {"result_key": set(), "run_key": set()}
    assert differ != nothing
    for changed, is_found in ((differ, True), (None, True), (nothing, False)):
        found = {each.name: bad for each, bad in run_checks(after, changed) if bad}
        assert (found.get(check, {}).get(place, 0) > 0) is is_found, (changed, found)
