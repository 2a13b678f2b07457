"""What is remembered of raw files: the same as is read in them, without opening them, and nothing that is lost with it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.lake import files, landed, remembered
from pipelines.lake.landed import read_landed
from pipelines.lake.store import Lake, RawRow, payload_sha256
from pipelines.providers.spec import Endpoint
from tests.support.toy import toy

T0 = datetime(2026, 11, 1, tzinfo=UTC)
PROVIDER = toy(Endpoint("rows", {}, lambda frame: {}))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def lake(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Six files, of which each is enough to be remembered."""
    monkeypatch.setattr(landed, "MANY", 1)
    lake = Lake(tmp_path / "lake", home)
    for number in range(6):
        land(lake, number)
    return lake


def land(lake: Lake, number: int, **said: Any) -> None:
    at = T0 + timedelta(days=number)
    row = RawRow(str(number % 4), f"parent {number % 2}", at.date(), at, 200, "", f'{{"a":{number}}}', "", 1, state="open", event_at=at)
    lake.land("toy", "rows", [RawRow(**{**vars(row), **said})], f"{number:06}")


def told(lake: Lake, now: datetime = T0) -> list[Any]:
    """All that a crawl may ask of the landed rows."""
    raw = read_landed(lake, PROVIDER, now)
    every = raw.landed.get("rows")
    of_each = [] if every is None else [(each, every[each], every.sha(each), every.date(each)) for each in every]
    return [raw.present, raw.damaged, of_each, every and (every.versions, every.open, every.parents(), every.last_at())]


def ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)
    return bytes(sink.getvalue())


def opened(read: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The raw files that something reads."""
    names: list[str] = []
    read_table = files.read_table

    def noted(path: Path, schema: pa.Schema) -> pa.Table:
        names.append(path.name)
        return read_table(path, schema)

    with monkeypatch.context() as patch:
        patch.setattr(files, "read_table", noted)
        read()
    return names


def test_what_was_read_once_is_not_opened_again_and_says_the_same(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    first = told(lake)
    assert first == told(Lake(lake.root))
    assert opened(lambda: told(lake), monkeypatch) == []
    assert told(lake) == first
    land(lake, 7, entity_id="1", state="final")
    assert [name.split("-")[0] for name in opened(lambda: told(lake), monkeypatch)] == ["000007"]
    assert told(lake) == told(Lake(lake.root)) != first


def test_few_new_files_are_read_each_time_and_not_remembered(lake: Lake, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(lake)
    before = sorted(home.rglob("*.arrow"))
    monkeypatch.setattr(landed, "MANY", 3)
    land(lake, 7)
    land(lake, 8)
    told(lake)
    assert sorted(home.rglob("*.arrow")) == before
    land(lake, 9)
    told(lake)
    (after,) = home.rglob("*.arrow")
    assert [after] != before, "one file, written anew"
    assert opened(lambda: told(lake), monkeypatch) == []


@pytest.mark.parametrize("recent", [0, 2])
def test_entities_are_found_whether_they_landed_lately_or_long_ago(lake: Lake, monkeypatch: pytest.MonkeyPatch, recent: int) -> None:
    monkeypatch.setattr(landed, "RECENT", recent)
    every = read_landed(lake, PROVIDER, T0).landed["rows"]
    assert [(each, every[each].entity_id, every.sha(each)) for each in "0123"] == [
        (each, each, payload_sha256(f'{{"a":{last}}}')) for each, last in zip("0123", (4, 5, 2, 3), strict=True)
    ]
    assert [each in every for each in ("4", "", 4, None)] == [False] * 4


@pytest.mark.fault("S9")
def test_file_that_is_shorter_than_it_was_is_read_again_and_damaged(lake: Lake) -> None:
    told(lake)
    file = lake.raw_files()[2]
    os.truncate(file.path, file.bytes // 2)
    assert read_landed(lake, PROVIDER, T0).damaged == [file.name]
    assert told(lake) == told(Lake(lake.root))


@pytest.mark.fault("S9")
def test_file_that_was_damaged_where_it_lies_is_seen_within_a_day(lake: Lake) -> None:
    first = told(lake)
    file = lake.raw_files()[2]
    file.path.write_bytes(b"x" * file.bytes)
    land(lake, 7)
    assert told(lake, T0 + timedelta(hours=23))[1] == [], "it is as long as it was, and remembered"
    assert told(lake, T0 + timedelta(hours=24))[1] == [file.name] != first[1]


def test_file_that_is_gone_is_forgotten_and_one_that_is_to_be_ignored_too(lake: Lake) -> None:
    told(lake)
    names = [file.name for file in lake.raw_files()]
    lake.raw_files()[1].path.unlink()
    assert told(lake) == told(Lake(lake.root))
    ignored, anew = (read_landed(each, PROVIDER, T0, ignore=[names[3]]) for each in (lake, Lake(lake.root)))
    assert (ignored.present, list(ignored.landed["rows"].items())) == (anew.present, list(anew.landed["rows"].items()))


@pytest.mark.fault("S9")
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "of another version", "of other columns"])
def test_memory_that_is_damaged_or_of_another_version_is_made_anew(lake: Lake, home: Path, damage: str) -> None:
    first = told(lake)
    (path,) = home.rglob("*.arrow")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "of another version":
        path.rename(path.with_name("v0" + path.name.removeprefix("v2")))
    elif damage == "of other columns":
        data = ipc(pa.table({"entity_id": ["1"]}))
        path.unlink()
        path.with_name(f"v2-{hashlib.sha256(data).hexdigest()[:16]}.arrow").write_bytes(data)
    else:
        path.write_bytes({"cut": data[:-9], "flipped": data, "empty": b""}[damage])
    assert told(lake) == first
    assert told(lake) == first
    (kept,) = home.rglob("*.arrow")
    assert kept.name == f"v2-{hashlib.sha256(kept.read_bytes()).hexdigest()[:16]}.arrow"


def test_home_that_cannot_be_written_is_no_error(lake: Lake, home: Path) -> None:
    home.write_text("no folder")
    assert told(lake) == told(Lake(lake.root))


def test_memory_of_another_lake_is_not_believed(lake: Lake, tmp_path: Path, home: Path) -> None:
    told(lake)
    other = Lake(tmp_path / "other", home)
    land(other, 3, payload='{"a":"other"}')
    shutil.copytree(lake.raw_files()[0].path.parent, other.root / "raw" / "toy" / "rows" / "date=2026-11-01")
    assert told(other) == told(Lake(other.root))


@pytest.mark.fault("S11")
def test_what_a_killed_run_had_begun_is_removed(lake: Lake, home: Path) -> None:
    folder = home / "work" / "landed" / "toy" / "rows"
    folder.mkdir(parents=True, mode=0o700)
    (folder / f"{files.TEMPORARY_PREFIX}dead").write_bytes(b"ARROW1 half")
    told(lake)
    assert [path.suffix for path in folder.iterdir()] == [".arrow"]


def test_memory_is_private(lake: Lake, home: Path) -> None:
    told(lake)
    (path,) = home.rglob("*.arrow")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_texts_that_are_no_hashes_are_read_each_time(lake: Lake, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of others: what it says in `payload_sha256` stays as it is."""
    table = lake.read_raw(lake.raw_files()[0])
    place = table.schema.get_field_index("payload_sha256")
    foreign = table.set_column(place, table.schema.field(place), pa.array(["not hex"]))
    files.write_table(lake.root / "raw" / "toy" / "rows" / "date=unknown", "foreign", foreign)
    assert told(lake) == told(Lake(lake.root))
    assert not list(home.rglob("*.arrow"))
    assert len(opened(lambda: told(lake), monkeypatch)) == 7


def test_rows_of_files_that_are_not_asked_for_are_left_out(lake: Lake, home: Path) -> None:
    told(lake)
    wanted = {file.name: (number, f"{file.bytes} {file.path.name}") for number, file in enumerate(lake.raw_files())}
    folder = home / "work" / "landed" / "toy" / "rows"
    known = remembered.recall(folder, dict(list(wanted.items())[:2]), T0)
    assert known is not None
    assert known.rows["file"].to_list() == [0, 1]
    assert remembered.recall(folder, {"another": (0, "5 x")}, T0) is None
