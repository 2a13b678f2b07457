"""The lake's folders: contract names and columns, one account per provider, damaged files reported and never read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import LakeError, SettingsError
from pipelines.lake import files, store
from pipelines.lake.store import Lake, RawRow, Refused, Sync, TrackedRun, Window

NOW = datetime(2026, 11, 22, 10, 30, 0, 123456, UTC)
DAY = date(2026, 11, 21)
CONTRACT = [
    ("provider", pa.string()), ("endpoint", pa.string()), ("entity_id", pa.string()), ("parent_id", pa.string()),
    ("window_date", pa.date32()), ("fetched_at", pa.timestamp("us", "UTC")), ("http_status", pa.int32()),
    ("request_url", pa.string()), ("payload", pa.string()), ("payload_sha256", pa.string()),
    ("body_sha256", pa.string()),
    ("redaction_version", pa.int32()), ("sync_id", pa.string()),
]  # fmt: skip


def raw_row(entity_id: str, payload: str = '{"a":1.50}', day: date | None = DAY) -> RawRow:
    return RawRow(
        entity_id=entity_id,
        parent_id="p",
        window_date=day,
        fetched_at=NOW,
        http_status=200,
        request_url="https://api.example/x",
        payload=payload,
        body_sha256="b" * 64,
        redaction_version=1,
        state="open",
        event_at=NOW,
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_raw_file_has_the_columns_of_the_contract_and_zstd(lake: Lake) -> None:
    (name,) = lake.land("checkly", "test_sessions", [raw_row("s1")], "sync1")
    assert name.startswith("checkly/test_sessions/date=2026-11-21/sync1-")
    with pq.ParquetFile(lake.root / "raw" / name) as file:
        schema = file.schema_arrow
        assert [(field.name, field.type) for field in schema][: len(CONTRACT)] == CONTRACT
        assert {file.metadata.row_group(0).column(i).compression for i in range(len(schema))} == {"ZSTD"}


def test_landed_rows_come_back_as_they_were(lake: Lake) -> None:
    lake.land("checkly", "test_sessions", [raw_row("s1", '{"n":12345678901234567890.10,"é":"ü"}')], "sync1")
    (file,) = lake.raw_files()
    (row,) = lake.read_raw(file).to_pylist()
    assert row["payload"] == '{"n":12345678901234567890.10,"é":"ü"}'
    assert row["payload_sha256"] == store.payload_sha256(row["payload"])
    assert (row["window_date"], row["fetched_at"], row["http_status"], row["sync_id"]) == (DAY, NOW, 200, "sync1")
    assert (row["state"], row["repairs"], row["event_at"]) == ("open", None, NOW)
    assert lake.read_raw(file, ["entity_id"]).to_pylist() == [{"entity_id": "s1"}]


@pytest.mark.fault("D9")
def test_rows_are_grouped_by_date_and_an_unusable_time_has_its_own(lake: Lake) -> None:
    rows = [raw_row("1"), raw_row("2", day=None), raw_row("3", day=date(2026, 11, 20)), raw_row("4")]
    names = lake.land("datadog", "api_results", rows, "sync1")
    assert [name.split("/")[2] for name in names] == ["date=2026-11-20", "date=2026-11-21", "date=unknown"]
    assert [file.date for file in lake.raw_files()] == [date(2026, 11, 20), DAY, None]
    assert [lake.read_raw(file, ["entity_id"])["entity_id"].to_pylist() for file in lake.raw_files()] == [
        ["3"],
        ["1", "4"],
        ["2"],
    ]
    assert lake.read_raw(lake.raw_files()[2])["window_date"].to_pylist() == [None]


def test_large_landings_are_split_into_bounded_files(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_FILE_CHARS", 25)
    names = lake.land("datadog", "tests", [raw_row(str(i), '{"a":"12345"}') for i in range(3)] + [raw_row("x")], "s")
    assert len(names) == 3
    landed = [row for file in lake.raw_files() for row in lake.read_raw(file)["entity_id"].to_pylist()]
    assert sorted(landed) == ["0", "1", "2", "x"]


def test_raw_files_are_listed_by_provider_and_sorted(lake: Lake) -> None:
    assert lake.raw_files() == []
    lake.land("datadog", "tests", [raw_row("1")], "s1")
    lake.land("checkly", "test_sessions", [raw_row("1")], "s0")
    listed = lake.raw_files()
    assert [file.provider for file in listed] == ["checkly", "datadog"]
    assert [file.name for file in lake.raw_files("datadog")] == [listed[1].name]
    assert listed[1].bytes == listed[1].path.stat().st_size


@pytest.mark.fault("S9")
def test_damaged_or_renamed_file_is_reported_and_not_read(lake: Lake) -> None:
    lake.land("datadog", "tests", [raw_row("1")], "s1")
    (file,) = lake.raw_files()
    data = bytearray(file.path.read_bytes())
    data[len(data) // 2] ^= 1
    file.path.write_bytes(data)
    with pytest.raises(LakeError, match="damaged or foreign"):
        lake.read_raw(file)
    file.path.rename(file.path.with_name("part-0.parquet"))
    (foreign,) = lake.raw_files()
    with pytest.raises(LakeError, match=r"raw/datadog/tests/date=2026-11-21/part-0\.parquet"):
        lake.read_raw(foreign)


def test_file_without_our_own_columns_is_read(lake: Lake) -> None:
    row = {**{name: "x" for name, kind in CONTRACT if kind == pa.string()}, "fetched_at": NOW, "http_status": 200}
    folder = lake.root / "raw" / "datadog" / "tests" / "date=unknown"
    files.write_rows(folder, "foreign", [row], pa.schema([pa.field(name, kind) for name, kind in CONTRACT]))
    (read,) = lake.read_raw(lake.raw_files()[0]).to_pylist()
    assert read["entity_id"] == "x"
    assert (read["state"], read["repairs"], read["event_at"]) == (None, None, None)


@pytest.mark.fault("S11")
def test_temporary_file_left_behind_is_ignored_and_cleaned(lake: Lake) -> None:
    (name,) = lake.land("datadog", "tests", [raw_row("1")], "s1")
    (lake.root / "raw" / name).parent.joinpath(".tmp-dead").write_bytes(b"half")
    assert [file.name for file in lake.raw_files()] == [name]
    lake.compact("docketqa", "s2", datetime(2100, 1, 1, tzinfo=UTC))
    assert (lake.root / "raw" / name).parent.joinpath(".tmp-dead").exists(), "another provider's writer may be at it"
    lake.compact("datadog", "s2", datetime(2100, 1, 1, tzinfo=UTC))
    assert [path.name for path in (lake.root / "raw" / name).parent.iterdir()] == [Path(name).name]


def test_windows_tracked_syncs_and_refused_come_back(lake: Lake) -> None:
    lake.write_windows("datadog", "api_result_rows", [Window("t1", NOW, NOW, ("f1", "f2")), Window("", NOW, NOW)], "s1")
    assert lake.windows("datadog", "api_result_rows").to_pylist() == [
        {"scope": "t1", "from_at": NOW, "to_at": NOW, "sync_id": "s1", "files": ["f1", "f2"]},
        {"scope": "", "from_at": NOW, "to_at": NOW, "sync_id": "s1", "files": []},
    ]
    lake.track("docketqa", [TrackedRun("38", "test_runs", NOW)], "s1")
    assert lake.tracked("docketqa").to_pylist() == [{"entity_id": "38", "endpoint": "test_runs", "first_seen_at": NOW}]
    lake.write_sync(Sync("s1", "datadog", NOW, NOW, requests=3, landed=2, unchanged=1, open=4, detail_pending=5))
    lake.write_sync(Sync("s1", "checkly", NOW, error="it failed"))
    syncs = {sync["provider"]: sync for sync in lake.syncs().to_pylist()}
    assert (len(syncs), syncs["checkly"]["error"], syncs["datadog"]["detail_pending"]) == (2, "it failed", 5)
    lake.refuse("datadog", [Refused("tests", "abc", "refused", NOW, body_sha256="f" * 64, body_bytes=9)], "s1")
    (refused,) = lake.refused("datadog").to_pylist()
    assert (refused["provider"], refused["entity_id"], refused["rule"], refused["body_bytes"]) == (
        "datadog", "abc", "refused", 9,
    )  # fmt: skip
    assert lake.refused("checkly").num_rows == 0
    assert lake.refused().num_rows == 1


def test_nothing_to_write_makes_no_file_and_an_absent_lake_is_empty(lake: Lake) -> None:
    lake.write_windows("datadog", "tests", [], "s1")
    lake.track("docketqa", [], "s1")
    lake.refuse("docketqa", [], "s1")
    assert lake.land("datadog", "tests", [], "s1") == []
    assert lake.syncs().num_rows == lake.refused().num_rows == lake.windows("a", "b").num_rows == 0
    assert not lake.root.exists()


@pytest.mark.fault("S9")
def test_damaged_book_is_left_out(lake: Lake) -> None:
    lake.write_windows("datadog", "tests", [Window("a", NOW, NOW)], "s1")
    lake.write_windows("datadog", "tests", [Window("b", NOW, NOW)], "s2")
    path = next(files.find(lake.root / "windows"))
    path.write_bytes(path.read_bytes()[:-3])
    assert lake.windows("datadog", "tests")["scope"].to_pylist() == ["b"]


@pytest.mark.fault("X5")
@pytest.mark.parametrize("name", ["..", "a/b", "A", "", ".x", "date=1"])
def test_partition_value_is_never_a_path(lake: Lake, name: str) -> None:
    with pytest.raises(LakeError):
        lake.land(name, "tests", [raw_row("1")], "s1")
    with pytest.raises(LakeError):
        lake.write_windows("datadog", name, [Window("a", NOW, NOW)], "s1")
    assert not lake.root.exists()


@pytest.mark.fault("X5")
def test_entity_id_with_a_path_in_it_stays_data(lake: Lake) -> None:
    lake.land("datadog", "tests", [raw_row("../../etc/passwd\n'; DROP")], "s1")
    assert lake.read_raw(lake.raw_files()[0])["entity_id"].to_pylist() == ["../../etc/passwd\n'; DROP"]


@pytest.mark.fault("D16")
def test_lake_of_another_account_or_host_is_refused(lake: Lake) -> None:
    lake.check_account("checkly", "api.example", "account-1")
    lake.check_account("checkly", "api.example", "account-1")
    lake.check_account("datadog", "api.other", "account-2")
    with pytest.raises(SettingsError, match=r"checkly: this lake belongs to another account.*RESULTHOUSE_HOME"):
        lake.check_account("checkly", "api.example", "account-2")
    with pytest.raises(SettingsError, match=r"another host api\.example"):
        lake.check_account("checkly", "127.0.0.1:8000", "account-1")
    text = (lake.root / "accounts" / "checkly.json").read_text(encoding="utf-8")
    assert "account-1" not in text
    assert "api.example" in text


@pytest.mark.parametrize("root", ["s3://bucket/lake", "gs://bucket", Path("s3://bucket/lake"), "abfss://x@y/z"])
def test_object_store_url_is_refused_with_a_sentence(root: Path | str) -> None:
    with pytest.raises(SettingsError, match=r"RESULTHOUSE_LAKE.*only a folder"):
        Lake(root)
