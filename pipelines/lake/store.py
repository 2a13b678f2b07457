"""The folders of the lake: what is written to them and read from them. What to fetch is decided in `history`.

    raw/<provider>/<endpoint>/date=YYYY-MM-DD|unknown/*.parquet    one row per payload version
    windows/<provider>/<endpoint>/*.parquet                        one row per completely covered window
    tracked/<provider>/*.parquet                                   registered run ids; no token
    syncs/*.parquet                                                one row per sync and provider
    refused/<provider>/*.parquet                                   bodies that landed nothing, entities given up
    accounts/<provider>.json                                       host and hash of the account the lake belongs to

Names and columns are the contract's (§3, §7); `state`, `repairs` and `event_at` of raw are ours and may be missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.errors import LakeError, SettingsError
from pipelines.lake import compact, files
from pipelines.lake.compact import Piece
from pipelines.providers.spec import State

MAX_FILE_CHARS = 64 * 1024 * 1024
"""Payload characters in one raw file: the loader takes whole files, one bounded batch at a time."""

UNKNOWN_DATE = "unknown"
_INSTANT = pa.timestamp("us", "UTC")

RAW = pa.schema(
    [
        pa.field("provider", pa.string(), nullable=False),
        pa.field("endpoint", pa.string(), nullable=False),
        pa.field("entity_id", pa.string(), nullable=False),
        pa.field("parent_id", pa.string()),
        pa.field("window_date", pa.date32()),
        pa.field("fetched_at", _INSTANT, nullable=False),
        pa.field("http_status", pa.int32()),
        pa.field("request_url", pa.string()),
        pa.field("payload", pa.string(), nullable=False),
        pa.field("payload_sha256", pa.string(), nullable=False),
        pa.field("body_sha256", pa.string()),
        pa.field("redaction_version", pa.int32()),
        pa.field("sync_id", pa.string()),
        pa.field("state", pa.string()),
        pa.field("repairs", pa.string()),
        pa.field("event_at", _INSTANT),
    ]
)
WINDOWS = pa.schema(
    [
        pa.field("scope", pa.string(), nullable=False),
        pa.field("from_at", _INSTANT, nullable=False),
        pa.field("to_at", _INSTANT, nullable=False),
        pa.field("sync_id", pa.string()),
        pa.field("files", pa.list_(pa.string())),
    ]
)
TRACKED = pa.schema(
    [
        pa.field("entity_id", pa.string(), nullable=False),
        pa.field("endpoint", pa.string(), nullable=False),
        pa.field("first_seen_at", _INSTANT, nullable=False),
    ]
)
SYNCS = pa.schema(
    [
        pa.field("sync_id", pa.string(), nullable=False),
        pa.field("provider", pa.string(), nullable=False),
        pa.field("started_at", _INSTANT, nullable=False),
        pa.field("ended_at", _INSTANT),
        pa.field("requests", pa.int64()),
        pa.field("landed", pa.int64()),
        pa.field("unchanged", pa.int64()),
        pa.field("error", pa.string()),
        pa.field("open", pa.int64()),
        pa.field("detail_pending", pa.int64()),
    ]
)
REFUSED = pa.schema(
    [
        pa.field("provider", pa.string(), nullable=False),
        pa.field("endpoint", pa.string(), nullable=False),
        pa.field("entity_id", pa.string(), nullable=False),
        pa.field("parent_id", pa.string()),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("http_status", pa.int32()),
        pa.field("body_sha256", pa.string()),
        pa.field("body_bytes", pa.int64()),
        pa.field("content_type", pa.string()),
        pa.field("event_at", _INSTANT),
        pa.field("seen_at", _INSTANT, nullable=False),
        pa.field("sync_id", pa.string()),
    ]
)


@dataclass(frozen=True)
class RawRow:
    """One payload version to land: `payload` is the masked JSON text, `window_date` the entity's fixed date or None."""

    entity_id: str
    parent_id: str | None
    window_date: date | None
    fetched_at: datetime
    http_status: int | None
    request_url: str | None
    payload: str
    body_sha256: str
    redaction_version: int
    state: State | None = None
    repairs: str | None = None
    event_at: datetime | None = None

    @property
    def payload_sha256(self) -> str:
        """Hash of the payload text: what "unchanged" means."""
        return payload_sha256(self.payload)


@dataclass(frozen=True)
class RawFile:
    """One raw file as it was written: `name` is its path below `raw/`, `date` None for `date=unknown`.

    `where` is the file that holds it now; when that is a merged one, `piece` says which rows (see `compact`).
    """

    where: str
    name: str
    provider: str
    endpoint: str
    date: date | None
    piece: Piece

    @property
    def path(self) -> Path:
        """`where` as a path: made when it is asked for, there are thousands of files."""
        return Path(self.where)

    @property
    def is_ours(self) -> bool:
        """Whether the name of the file that holds it has the form of ours."""
        return files.is_ours(self.where.rpartition(os.sep)[2])

    @property
    def bytes(self) -> int:
        """Size of the file that holds it."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Window:
    """One completely covered window of a scope (test id, or '' for a list); `files` are the raw files landed for it."""

    scope: str
    from_at: datetime
    to_at: datetime
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrackedRun:
    """One registered run of a provider without a list endpoint."""

    entity_id: str
    endpoint: str
    first_seen_at: datetime


@dataclass(frozen=True)
class Sync:
    """One sync of one provider. `error` is one redacted line."""

    sync_id: str
    provider: str
    started_at: datetime
    ended_at: datetime | None = None
    requests: int = 0
    landed: int = 0
    unchanged: int = 0
    error: str | None = None
    open: int = 0
    detail_pending: int = 0


@dataclass(frozen=True)
class Refused:
    """One answer that landed nothing, one failed fetch, or one entity given up: `rule` says which (see `history`)."""

    endpoint: str
    entity_id: str
    rule: str
    seen_at: datetime
    parent_id: str | None = None
    error: str | None = None
    http_status: int | None = None
    body_sha256: str | None = None
    body_bytes: int | None = None
    content_type: str | None = None
    event_at: datetime | None = None


def payload_sha256(payload: str) -> str:
    """SHA-256 of a payload text, hex."""
    return hashlib.sha256(payload.encode("utf-8")).hexdigest()


class Lake:
    """One lake in a folder. Nothing is made before the first write; reading an absent lake finds nothing."""

    def __init__(self, root: Path | str, home: Path | None = None) -> None:
        """`home`: where what was read of raw files may be remembered, see `remembered`. Raises SettingsError for an object-store URL."""
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(root)):
            scheme = str(root).split(":", 1)[0]
            raise SettingsError(f"RESULTHOUSE_LAKE is a {scheme} URL: only a folder is supported in this version")
        self.root = Path(root).resolve()  # the place itself may be a link, what is in it may not
        self.memory = None if home is None else home / "work" / "landed"
        self._merged: tuple[Path, pa.Schema, pa.Table] | None = None

    # --- raw -----------------------------------------------------------------------------------------------

    def land(self, provider: str, endpoint: str, rows: Sequence[RawRow], sync_id: str) -> list[str]:
        """Write payload versions, one file or more per date. Returns the names below `raw/`. Raises LakeError."""
        names = []
        folder = self.root / "raw" / _part(provider) / _part(endpoint)
        by_date: dict[str, list[RawRow]] = {}
        for row in rows:
            day = UNKNOWN_DATE if row.window_date is None else row.window_date.isoformat()
            by_date.setdefault(f"date={day}", []).append(row)
        for partition in sorted(by_date):
            for batch in _batches(by_date[partition]):
                written = _write(
                    folder / partition,
                    sync_id,
                    [
                        {
                            **vars(row),
                            "payload_sha256": row.payload_sha256,
                            "provider": provider,
                            "endpoint": endpoint,
                            "sync_id": sync_id,
                        }
                        for row in batch
                    ],
                    RAW,
                )
                names.append(f"{provider}/{endpoint}/{partition}/{written}")
        return names

    def raw_files(self, provider: str | None = None) -> list[RawFile]:
        """Every raw file, sorted by name; also those whose name does not fit (reading them says so)."""
        folder = self.root / "raw" if provider is None else self.root / "raw" / _part(provider)
        listed = compact.settled(lambda: self._raw_in(folder))
        return sorted(listed, key=lambda file: file.name)

    def read_raw(self, file: RawFile, columns: Sequence[str] | None = None) -> pa.Table:
        """A verified raw file with the columns of `RAW`, or those named. LakeError when name and bytes differ."""
        schema = RAW if columns is None else pa.schema([RAW.field(name) for name in columns])
        try:
            return file.piece.of(self._verified(file, schema))
        except LakeError:
            around = [] if file.path.exists() else compact.settled(lambda: self._raw_in(file.path.parent))
            moved = [each for each in around if each.name == file.name]
            if not moved:
                raise
        return self.read_raw(moved[0], columns)  # another process merged it since it was listed

    def _raw_in(self, folder: Path) -> list[RawFile]:
        above = len(str(self.root / "raw")) + 1
        found = []
        for path, pieces in compact.pieces(files.find_texts(folder)).items():
            parts = path[above:].split(os.sep)  # noqa: PTH206 - what pathlib says takes five times as long
            if len(parts) == 4 and parts[2].startswith("date="):
                day, place = _day(parts[2][5:]), "/".join(parts[:3])
                found += [RawFile(path, f"{place}/{piece.name}", parts[0], parts[1], day, piece) for piece in pieces]
        return found

    def _verified(self, file: RawFile, schema: pa.Schema) -> pa.Table:
        """The whole file. A merged one is kept for the next piece of it: whoever reads one mostly reads them all, in order."""
        if self._merged is not None and self._merged[:2] == (file.path, schema):
            return self._merged[2]
        if not files.verify(file.path):
            raise LakeError(f"lake file {file.path.relative_to(self.root)} does not hold what its name says: it is damaged or foreign")
        table = files.read_table(file.path, schema)
        if file.piece.rows is not None:
            self._merged = (file.path, schema, table)
        return table

    def set_aside(self, file: RawFile) -> Path | None:
        """Take a damaged raw file out of the lake: what it held counts as never fetched. None when its name is not ours or it is whole."""
        return files.set_aside(file.path)

    # --- the books beside it -------------------------------------------------------------------------------

    def write_windows(self, provider: str, endpoint: str, windows: Sequence[Window], sync_id: str) -> None:
        """Record covered windows; only after all that is in them has landed or is listed. Nothing to write is fine."""
        folder = self.root / "windows" / _part(provider) / _part(endpoint)
        if windows:
            _write(folder, sync_id, [{**asdict(window), "sync_id": sync_id} for window in windows], WINDOWS)

    def windows(self, provider: str, endpoint: str) -> pa.Table:
        """All window rows of an endpoint."""
        return self._read(Path("windows", _part(provider), _part(endpoint)), WINDOWS)

    def track(self, provider: str, runs: Sequence[TrackedRun], sync_id: str) -> None:
        """Register runs."""
        if runs:
            _write(self.root / "tracked" / _part(provider), sync_id, [asdict(run) for run in runs], TRACKED)

    def tracked(self, provider: str) -> pa.Table:
        """All registrations of a provider; a run that was registered twice stands twice."""
        return self._read(Path("tracked", _part(provider)), TRACKED)

    def write_sync(self, sync: Sync) -> None:
        """Record one sync of one provider."""
        _write(self.root / "syncs", sync.sync_id, [asdict(sync)], SYNCS)

    def syncs(self) -> pa.Table:
        """All syncs."""
        return self._read(Path("syncs"), SYNCS)

    def refuse(self, provider: str, refused: Sequence[Refused], sync_id: str) -> None:
        """Record what landed nothing."""
        folder = self.root / "refused" / _part(provider)
        if refused:
            rows = [{**vars(row), "provider": provider, "sync_id": sync_id} for row in refused]
            _write(folder, sync_id, rows, REFUSED)

    def refused(self, provider: str | None = None) -> pa.Table:
        """All that was refused, or that of a provider."""
        return self._read(Path("refused") if provider is None else Path("refused", _part(provider)), REFUSED)

    def check_account(self, provider: str, host: str, account: str) -> None:
        """Remember host and account of a provider at its first sync. Raises SettingsError when they are others now."""
        path = self.root / "accounts" / f"{_part(provider)}.json"
        known = {"host": host, "account_sha256": hashlib.sha256(account.encode()).hexdigest()}
        try:
            files.write_bytes(path, json.dumps(known, indent=1).encode() + b"\n", is_once=True)
        except FileExistsError:
            try:
                before = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                raise LakeError(f"{path} is damaged: it should hold host and account of {provider}") from None
            if before != known:
                what = f"host {before.get('host')}" if before.get("host") != host else "account"
                raise SettingsError(f"{provider}: this lake belongs to another {what}; set RESULTHOUSE_HOME to another folder") from None
        except OSError as error:
            raise _unwritable(path, error) from error

    def compact(self, provider: str, sync_id: str, now: datetime) -> None:
        """Merge small files of a provider, and of the syncs of all, where there are many, and remove what interrupted writers left there.

        For whoever holds the provider's lock.
        """
        left: list[str] = []
        files.find_texts(self.root / "accounts", left)
        books = {"raw": RAW, "windows": WINDOWS, "tracked": TRACKED, "refused": REFUSED}
        for place, schema in {**{f"{book}/{_part(provider)}": schema for book, schema in books.items()}, "syncs": SYNCS}.items():
            folders: dict[str, list[str]] = {}
            for path in files.find_texts(self.root / place, left):
                folders.setdefault(path.rpartition(os.sep)[0], []).append(path)
            for folder, paths in folders.items():
                try:
                    compact.merge_small(paths, schema, sync_id)
                except FileNotFoundError:  # `syncs` is everybody's: another pull merges it just now
                    continue
                except OSError as error:
                    raise _unwritable(Path(folder), error) from error
        files.remove_left(left, now)

    def _read(self, folder: Path, schema: pa.Schema) -> pa.Table:
        """All rows below a folder, in the order of the files as they were written. A damaged file is left out: what it said is found out
        again."""

        def read() -> pa.Table:
            parts: list[tuple[tuple[str, str], Piece, pa.Table]] = []
            for where, pieces in compact.pieces(files.find_texts(self.root / folder)).items():
                table = files.read_verified(Path(where), schema)  # raises when it was merged meanwhile
                if table is not None:
                    parts += [((where.rpartition(os.sep)[0], piece.name), piece, table) for piece in pieces]
            parts.sort(key=lambda part: part[0])
            whole = pa.concat_tables([schema.empty_table(), *compact.rows((piece, table) for _, piece, table in parts)])
            return whole.combine_chunks()  # polars takes ten times as long for a chunk per sync

        return compact.settled(read)


def _write(folder: Path, sync_id: str, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> str:
    try:
        return files.write_rows(folder, sync_id, rows, schema)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(place: Path, error: OSError) -> LakeError:
    return LakeError(f"the lake cannot be written: {place}: {error.strerror}")


def _part(name: str) -> str:
    """A provider or endpoint name as one folder name. Raises LakeError: ids of providers never become folders."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise LakeError(f"{name!r} is no provider or endpoint name: lower case letters, digits and '_' only")
    return name


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _batches(rows: Iterable[RawRow]) -> Iterator[list[RawRow]]:
    batch: list[RawRow] = []
    size = 0
    for row in rows:
        if batch and size + len(row.payload) > MAX_FILE_CHARS:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row.payload)
    if batch:
        yield batch
