"""Small files of the lake become few, and nobody who asks the lake can tell: in any order of landings, merges and crashes."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import LakeError
from pipelines.lake import compact, files
from pipelines.lake import landed as landed_rows
from pipelines.lake.dataset import landed
from pipelines.lake.history import read_history
from pipelines.lake.landed import read_landed
from pipelines.lake.store import RAW, Lake, RawRow, Refused, Sync, TrackedRun, Window
from pipelines.providers.spec import Endpoint
from tests.faults.crash import fast_folder, watched
from tests.support.toy import toy

T0 = datetime(2026, 11, 1, tzinfo=UTC)
SYNC_EVERY = timedelta(minutes=15)


PROVIDER = toy(Endpoint("runs", {}, lambda frame: {}), Endpoint("rows", {}, lambda frame: {}))


class KilledError(Exception):
    """The process is no more."""


@pytest.fixture
def root() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Three files are many: merges of merges come soon."""
    monkeypatch.setattr(compact, "FEW", 3)
    return 3


def sync(lake: Lake, number: int, rng: random.Random) -> None:
    """What one sync writes: some versions, what they cover, what failed, what was registered."""
    now, sync_id = T0 + number * SYNC_EVERY, f"{number:06}"
    names = []
    for endpoint in ("runs", "rows"):
        rows = [
            RawRow(str(rng.randrange(20)), None, rng.choice([T0.date(), None]), now, 200, "", f'{{"a":{number}.{each}}}', "", 1,
                   state=rng.choice(["open", "final", None]))
            for each in range(rng.randrange(3))
        ]  # fmt: skip
        names += lake.land("toy", endpoint, rows, sync_id)
    if rng.random() < 0.9:
        lake.write_windows("toy", "rows", [Window(rng.choice(["", "a"]), now, now + SYNC_EVERY, tuple(names))], sync_id)
    rules = rng.sample(["due", "gone", "listed", "unfetched"], rng.randrange(3))
    lake.refuse("toy", [Refused("runs", str(rng.randrange(25)), rule, now) for rule in rules], sync_id)
    lake.track("toy", [TrackedRun(str(rng.randrange(30)), "runs", now)] if rng.random() < 0.5 else [], sync_id)
    lake.write_sync(Sync(sync_id, "toy", now, now, landed=len(names)))


def seen(lake: Lake, now: datetime, *, by_sql: bool = True) -> list[Any]:
    """All that anybody may ask a lake, in its order."""
    told = read_history(lake, PROVIDER, now, timedelta(days=14), lambda run: None)
    entities = [
        (sorted(told.landed(name).items()), told.due(name), sorted((each, told.last_sha(name, each)) for each in told.landed(name)))
        for name in ("runs", "rows")
    ]
    closed = [each for each in map(str, range(30)) if told.is_closed("runs", each)]
    raw = [(file.name, lake.read_raw(file).to_pylist()) for file in lake.raw_files()]
    books = [
        table.to_pylist() for table in (lake.windows("toy", "rows"), lake.tracked("toy"), lake.refused("toy"), lake.refused(), lake.syncs())
    ]
    rows = sorted(map(repr, landed(lake).to_table().to_pylist())) if by_sql else []
    return [told.damaged, told.coverage(), told.counts(), told.open_count(), entities, closed, raw, books, rows]


def files_of(lake: Lake) -> Counter[Path]:
    """How many files each folder holds."""
    return Counter(path.parent for path in lake.root.rglob("*") if path.is_file())


@pytest.mark.fault("S11", "S13")
def test_compacted_lake_answers_as_one_that_never_was_whatever_was_killed_when(
    root: Path, few: int, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """Random syncs, merges, and merges that are killed at some moment, against the same syncs without any; one remembers what it read."""
    monkeypatch.setattr(landed_rows, "MANY", 2)
    merges = kills = 0
    for seed in range(3):
        rng = random.Random(seed)
        plain, merged = Lake(root / f"{seed}-plain"), Lake(root / f"{seed}-merged", root / f"{seed}-home")
        for number in range(14):
            for lake in (plain, merged):
                sync(lake, number, random.Random(f"{seed} {number}"))
            if rng.random() < 0.7:
                left = rng.randrange(60) if rng.random() < 0.6 else None

                def moment(name: str) -> None:
                    nonlocal left
                    if left is not None:
                        left -= 1
                        if left == 0:
                            raise KilledError

                try:
                    with watched(merged.root, moment):
                        merged.compact("toy", f"{number:06}", T0)
                    merges += 1
                except KilledError:
                    kills += 1
            read_landed(merged, PROVIDER, T0 + number * SYNC_EVERY)
            if number % 4 == 3:
                now = T0 + number * SYNC_EVERY
                assert seen(merged, now) == seen(plain, now), (seed, number)
        merged.compact("toy", "last", T0)
        assert max(files_of(merged).values()) < max(files_of(plain).values())
    assert kills > 3
    record_property("cases", merges + kills)


@pytest.mark.fault("S1", "S11", "S13")
def test_merge_killed_at_every_moment_is_finished_by_the_next(root: Path, few: int, record_property: Any) -> None:
    """At every file operation, and in the middle of every write."""
    lake = Lake(root / "before")
    for number in range(3):
        sync(lake, number, random.Random(number))
    now = T0 + 8 * SYNC_EVERY
    expected = seen(lake, now)
    moments: list[str] = []

    def count(name: str) -> None:
        moments.append(name)

    def kill_at(number: int, name: str) -> None:
        nonlocal passed
        passed += 1
        if passed > number:
            raise KilledError

    shutil.copytree(lake.root, root / "whole")
    with watched(root / "whole", count):
        Lake(root / "whole").compact("toy", "000004", T0)
    assert {"file half written", "before rename", "after rename", "before unlink", "after unlink", "before fsync"} <= set(moments)
    for number, name in enumerate(moments):
        home = root / str(number)
        shutil.copytree(lake.root, home)
        killed, passed = Lake(home), 0
        with watched(home, partial(kill_at, number)), pytest.raises(KilledError):
            killed.compact("toy", "000004", T0)
        if name not in moments[:number] or number % 11 == 0:
            assert seen(killed, now) == expected, name
        killed.compact("toy", "000005", datetime.now(UTC) + timedelta(hours=2))
        assert max(files_of(killed).values()) < few, name
        assert all(files.verify(path) for path in files.find(home)), name
        shutil.rmtree(home)
    assert seen(Lake(root / "whole"), now) == expected
    record_property("cases", len(moments))


@pytest.mark.fault("S13")
def test_ten_days_of_96_files_leave_few_in_the_folder(root: Path, record_property: Any) -> None:
    """With the real limits, in a folder that gets them all. Sizes of one kind and another; rows keep their order."""
    schema = pa.schema([("number", pa.int64())])
    most = 0
    for number in range(10 * 96):
        files.write_rows(root, f"{number:06}", [{"number": number}], schema)
        if number % 6 == 5:
            paths = files.find_texts(root)
            compact.merge_small(paths, schema, f"{number:06}")
            most = max(most, len(paths))
    assert most <= 3 * compact.FEW
    rows = sorted(
        (piece.name, piece.of(pq.read_table(path))["number"].to_pylist())
        for path, held in compact.pieces(map(str, root.iterdir())).items()
        for piece in held
    )
    assert [each for _, each in rows] == [[number] for number in range(10 * 96)]
    record_property("cases", 10 * 96)


@pytest.mark.fault("S13")
def test_file_that_is_merged_while_somebody_reads_is_found_in_the_merged_one(root: Path, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that has listed files before another process merges them, and listings that a merge comes between."""
    lake, reader = Lake(root), Lake(root)
    for number in range(5):
        sync(lake, number, random.Random(number))
    listed = reader.raw_files()
    first = [reader.read_raw(file, ["payload"]).to_pylist() for file in listed]
    lake.compact("toy", "000005", T0)
    assert any(not file.path.exists() for file in listed)
    assert [reader.read_raw(file, ["payload"]).to_pylist() for file in listed] == first


@pytest.mark.fault("S13")
def test_merge_between_a_listing_and_the_reading_of_it_is_not_seen(
    root: Path, few: int, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """Whoever reads without the provider's lock, at each of the listings it makes."""
    lake = Lake(root / "lake")
    for number in range(4):
        sync(lake, number, random.Random(number))
    now = T0 + 6 * SYNC_EVERY
    expected = seen(lake, now, by_sql=False)
    find = files.find_texts
    again = 0
    for number in range(14):
        reader, listings = Lake(shutil.copytree(lake.root, root / str(number))), 0

        def find_then_merge(folder: Path, temporary: list[str] | None = None, reader: Lake = reader, number: int = number) -> list[str]:
            nonlocal listings
            found = find(folder, temporary)
            listings += 1
            if listings == number + 1:
                with monkeypatch.context() as patch:
                    patch.setattr(files, "find_texts", find)
                    Lake(reader.root).compact("toy", "000004", T0)
            return found

        monkeypatch.setattr(files, "find_texts", find_then_merge)
        assert seen(reader, now, by_sql=False) == expected, number
        again = max(again, listings)
        monkeypatch.setattr(files, "find_texts", find)
    assert again > 12, "some had to list again"
    record_property("cases", 14)


@pytest.mark.fault("S9")
def test_damaged_files_are_not_merged_and_a_damaged_merged_one_hides_nothing_that_is_there(root: Path, few: int) -> None:
    """A merged file is damaged before its sources are removed: they come back. After that, all that it held counts as never fetched."""
    lake = Lake(root)
    names = [lake.land("toy", "rows", [RawRow(str(n), None, None, T0, 200, "", "{}", "", 1)], f"{n:06}")[0] for n in range(4)]
    lake.write_windows("toy", "rows", [Window("", T0, T0 + SYNC_EVERY, (names[1],))], "000001")
    first = lake.raw_files()[0].path
    first.write_bytes(first.read_bytes()[:-9] + b"123456789")
    sources = {file.path: file.path.read_bytes() for file in lake.raw_files()}
    lake.compact("toy", "000004", T0)
    (merged,) = {file.path for file in lake.raw_files()} - {first}
    assert [file.name for file in lake.raw_files()] == names
    merged.write_bytes(merged.read_bytes().replace(b"PAR1", b"PAR2", 1))
    for path, data in sources.items():
        path.write_bytes(data)
    lake.compact("toy", "000005", T0)
    assert set(sources) <= set(files.find(root / "raw")), "nothing is removed in favour of a damaged file"

    with pytest.raises(LakeError, match="damaged"):
        lake.read_raw(lake.raw_files()[1])
    assert lake.set_aside(lake.raw_files()[1]) is not None
    assert [lake.read_raw(file).num_rows for file in lake.raw_files()[1:]] == [1, 1, 1]
    lake.compact("toy", "000006", T0)
    for file in lake.raw_files()[1:]:
        lake.set_aside(file)
        file.path.unlink(missing_ok=True)
    told = read_history(lake, PROVIDER, T0, timedelta(days=14), lambda run: None)
    assert told.resume_at("rows", "") is None, "its window is not covered any more"
    assert told.damaged == [names[0]]


@pytest.mark.fault("S9")
@pytest.mark.parametrize(
    "told",
    ["", "{}", "[]", "[[1]]", '[["a", -1], ["b", 2]]', '[["a", 5]]', '[["a", "x"]]', "\udcff", '[["a", 1, 2]]'],
)
def test_file_that_says_nonsense_of_what_it_holds_is_a_file_like_any_other(root: Path, told: str) -> None:
    row = {"provider": "toy", "endpoint": "rows", "entity_id": "1", "fetched_at": T0, "payload": "{}", "payload_sha256": "0"}
    table = pa.Table.from_pylist([row], RAW).replace_schema_metadata({b"resulthouse.files": told.encode("utf-8", "surrogateescape")})
    name = files.write_table(root / "raw/toy/rows/date=unknown", "s.merged", table)
    (file,) = Lake(root).raw_files()
    assert (file.path.name, file.name) == (name, f"toy/rows/date=unknown/{name}")
    assert Lake(root).read_raw(file).num_rows == 1


def test_file_with_columns_of_others_is_left_as_it_is(root: Path, few: int) -> None:
    lake = Lake(root)
    for number in range(4):
        lake.land("toy", "rows", [RawRow(str(number), None, None, T0, 200, "", "{}", "", 1)], f"{number:06}")
    foreign = lake.raw_files()[0].path
    files.write_table(foreign.parent, "more", pq.read_table(foreign).append_column("more", pa.array(["x"])))
    before = set(files.find(root))
    lake.compact("toy", "000004", T0)
    assert [path.name.split("-")[0] for path in sorted(before & set(files.find(root)))] == ["more"]


def test_two_pulls_that_merge_the_syncs_at_once_show_each_sync_once(root: Path, few: int) -> None:
    """Providers are pulled side by side, and the syncs are everybody's: what both have merged is shown once, whoever was faster."""
    lake = Lake(root)
    for number in range(4):
        lake.write_sync(Sync(f"{number:06}", "toy", T0, T0))
    every = sorted(files.find(root))
    others = [Lake(root / name) for name in ("one", "two")]
    for other in others:
        shutil.copytree(root / "syncs", other.root / "syncs")
    for path in every:
        path.unlink()
    for other, left_out in zip(others, (every[0], every[3]), strict=True):
        (other.root / "syncs" / left_out.name).unlink()
        other.compact("toy", "000004", T0)
        for path in files.find(other.root):
            shutil.copy2(path, root / "syncs")
    names = [json.loads(pq.read_metadata(path).metadata[b"resulthouse.files"]) for path in files.find(root / "syncs")]
    assert sorted(map(len, names)) == [3, 3]
    assert lake.syncs()["sync_id"].to_pylist() == ["000000", "000001", "000002", "000003"]
    lake.write_sync(Sync("000006", "toy", T0, T0))
    lake.compact("toy", "000007", T0)
    assert lake.syncs()["sync_id"].to_pylist() == ["000000", "000001", "000002", "000003", "000006"]
