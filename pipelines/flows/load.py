"""Lake -> warehouse: raw files that are not in the ledger are decoded, flattened, validated, loaded and derived, a batch per transaction.

No HTTP. What is loaded is decided from the lake's files and the ledger alone.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby

import polars as pl

from pipelines.clock import Clock
from pipelines.errors import LakeError
from pipelines.lake.store import Lake, RawFile
from pipelines.providers.spec import Endpoint, Provider
from pipelines.schemas import FLATTENED
from pipelines.transform.decode import decode
from pipelines.transform.drift import COLUMNS as DRIFT_COLUMNS
from pipelines.transform.drift import find_drift
from pipelines.transform.validate import REJECT_COLUMNS, conform, split
from pipelines.warehouse.connect import Connection, memory, one_thread, transaction
from pipelines.warehouse.ddl import add_keys
from pipelines.warehouse.derive import derive
from pipelines.warehouse.load import LedgerRow, Loader, Source, loaded_files, within_memory, write_ledger

BATCH_BYTES = 6 * 1024 * 1024
"""How much JSON is decoded at once: memory grows with it (three batches are in hand), and below it fixed costs count."""

ROW_BYTES = 200
"""What a payload counts besides its text: list rows are short, and as wide as others once they are flattened."""

AHEAD = 2
"""Batches that are prepared while one is written: writing is the smaller half of the work."""

DERIVED_AT_ONCE = 20_000
"""Results of a first load after which they are derived: what that holds in memory grows with what was touched."""

MOST_TOUCHED = 100_000
"""Results and runs above which a load does not say which ones it touched: they are held in memory, 100 bytes each."""

KEPT_AT_ONCE = 64
"""Batches after which what was loaded is put into the file: until then it takes memory, or room beside the file."""

_ENTITY_TABLES = ("results", "runs", "sightings")
_EXTRA = {"results": ("outcome_rank",), "runs": ("outcome_rank",)}
_RAW_COLUMNS = ("entity_id", "parent_id", "window_date", "fetched_at", "payload", "payload_sha256", "state", "repairs")
_VERSION_COLUMNS = ["entity_id", "payload_sha256", "fetched_at", "finality", "is_open", "raw_file"]


@dataclass
class LoadReport:
    """What a load did: versions by what became of them per provider, and files that could not be read.

    `is_first`: nothing had been loaded before. `touched`: otherwise, the keys of the results and runs derived anew, None when these are
    more than `MOST_TOUCHED`.
    """

    is_first: bool = False
    touched: dict[str, set[int]] | None = field(default_factory=lambda: dict[str, set[int]](result_key=set(), run_key=set()))
    files: int = 0
    loaded: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def touch(self, loader: Loader) -> None:
        """What has been derived."""
        if self.touched is not None and sum(map(len, self.touched.values())) + loader.touched() <= MOST_TOUCHED:
            for key, keys in loader.keys().items():
                self.touched[key].update(keys)
        else:
            self.touched = None

    def count(self, batch: _Batch) -> None:
        """What is written."""
        self.files += len(batch.ledger)
        for each in batch.rounds:
            name = each.source.provider
            self.loaded[name] = self.loaded.get(name, 0) + each.good.height
            self.rejected[name] = self.rejected.get(name, 0) + each.bad.height


def load_new(
    connection: Connection,
    lake: Lake,
    listed: Iterable[RawFile],
    providers: Mapping[str, Provider],
    clock: Clock,
    progress: Callable[[int, int], None] = lambda done, total: None,
    bounds: Sequence[int] = (),
) -> LoadReport:
    """Load every raw file of those listed that is not in the ledger, within `bounds` of memory (see `within_memory`).

    Damaged files are reported and left out, the others go on. One of ours is set aside, so that the next sync fetches again what it held.
    """
    known = loaded_files(connection)
    report = LoadReport(is_first=not known)
    files = [file for file in listed if file.name not in known and file.provider in providers]
    definitions = {(provider.name, each.name) for provider in providers.values() for each in provider.endpoints if each.keeps_history}
    files.sort(key=lambda file: (file.provider, file.endpoint) not in definitions)  # said later, it is looked for in all results
    loader = Loader(connection)
    ledger: list[LedgerRow] = []
    done = 0
    with one_thread(connection), closing(_ahead(lake, providers, files, clock.now(), report, cuts=not known)) as batches:
        for number, batch in enumerate(batches, 1):
            if known:
                with transaction(connection):
                    whole: list[LedgerRow] = []
                    for each in _until_whole(batch, batches):
                        each.load(loader)
                        report.count(each)
                        whole += each.ledger
                        done += each.files
                    derive(connection)
                    report.touch(loader)
                    loader.forget()
                    if whole:
                        write_ledger(connection, whole)
            else:
                _apart(connection, partial(batch.load, loader), bounds)
                report.count(batch)
                ledger += batch.ledger
                done += batch.files
                if loader.touched() >= DERIVED_AT_ONCE:
                    _derive_apart(loader, bounds)
            if number % KEPT_AT_ONCE == 0:
                within_memory(connection, partial(connection.execute, "CHECKPOINT"), bounds)
            progress(done, len(files))
        if not known:
            # Into an empty warehouse: the ledger is written last. Without one, `is_unfinished` tells what a crash left.
            if ledger:
                _derive_apart(loader, bounds)
            _apart(connection, partial(add_keys, connection), bounds)
        if ledger:
            with transaction(connection):
                write_ledger(connection, ledger)
    return report


@dataclass(frozen=True)
class _Part:
    """Rows of a raw file, in their order; `ends`: how many the file has, said with its last ones."""

    file: RawFile
    frame: pl.DataFrame
    ends: int | None


def _batches(lake: Lake, files: Sequence[RawFile], report: LoadReport, *, cuts: bool) -> Iterator[list[_Part]]:
    """Files, read and verified, `BATCH_BYTES` of them at a time; one payload may be larger. Damaged ones are set aside.

    With `cuts` each batch is filled up, whatever files it has the rest or the beginning of; else only files larger than a batch are cut.
    """
    batch: list[_Part] = []
    size = 0
    for file in files:
        try:
            frame = pl.DataFrame(lake.read_raw(file, _RAW_COLUMNS))
        except LakeError as error:
            aside = lake.set_aside(file)
            if not any(said.startswith(str(error)) for said in report.damaged):  # a merged file is said once, not for all that it held
                report.damaged.append(f"{error}; set aside as {aside.name}, the next sync fetches it again" if aside else str(error))
            continue
        weights = (frame["payload"].str.len_bytes().cast(pl.Int64) + ROW_BYTES).cum_sum()
        total = int(weights[-1]) if frame.height else 0
        if batch and not cuts and size + total > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        start = before = 0
        while True:
            fits = int(weights.search_sorted(before + BATCH_BYTES - size, side="right"))
            end = min(max(fits, start if batch else start + 1), frame.height)
            if end > start or not frame.height:
                batch.append(_Part(file, frame[start:end], frame.height if end == frame.height else None))
            if end == frame.height:
                size += total - before
                break
            yield batch
            batch, size = [], 0
            start, before = end, int(weights[end - 1]) if end else 0
    if batch:
        yield batch


@dataclass(frozen=True)
class _Round:
    """One version of each of several entities of an endpoint, ready to be written."""

    source: Source
    good: pl.DataFrame
    bad: pl.DataFrame
    frames: dict[str, pl.DataFrame]
    drift: pl.DataFrame
    rejects: dict[str, pl.DataFrame]

    def load(self, loader: Loader) -> None:
        loader.load_round(self.source, self.good, self.frames, self.drift)
        loader.reject_versions(self.source, self.bad)
        for scope, rejects in self.rejects.items():
            loader.reject(self.source, rejects, scope)


@dataclass(frozen=True)
class _Batch:
    """What is written at once. `files`: how many end in it; `is_whole`: the last one does."""

    files: int
    is_whole: bool
    rounds: list[_Round]
    ledger: list[LedgerRow]

    def load(self, loader: Loader) -> None:
        for each in self.rounds:
            each.load(loader)


def _until_whole(batch: _Batch, batches: Iterator[_Batch]) -> Iterator[_Batch]:
    """This batch, and the next ones until one ends with a file."""
    yield batch
    while not batch.is_whole:
        batch = next(batches)
        yield batch


def _ahead(
    lake: Lake, providers: Mapping[str, Provider], files: Sequence[RawFile], now: datetime, report: LoadReport, *, cuts: bool
) -> Generator[_Batch, None, None]:
    """The batches in order: while one is written, the next ones are decoded and flattened in threads."""
    with ExitStack() as stack:
        idle = [stack.enter_context(closing(memory())) for _ in range(AHEAD)]
        threads = stack.enter_context(ThreadPoolExecutor(AHEAD))

        def prepared(batch: Sequence[_Part]) -> _Batch:
            connection = idle.pop()
            try:
                return _prepared(connection, providers, batch, now, report)
            finally:
                idle.append(connection)

        ahead: deque[Future[_Batch]] = deque()
        for batch in _batches(lake, files, report, cuts=cuts):
            ahead.append(threads.submit(prepared, batch))
            if len(ahead) > AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _prepared(
    connection: Connection,
    providers: Mapping[str, Provider],
    batch: Sequence[_Part],
    now: datetime,
    report: LoadReport,
) -> _Batch:
    rounds: list[_Round] = []
    ledger: list[LedgerRow] = []
    for (provider_name, endpoint_name), parts in groupby(batch, lambda each: (each.file.provider, each.file.endpoint)):
        provider = providers[provider_name]
        try:
            endpoint = provider.endpoint(endpoint_name)
        except KeyError:
            report.damaged.append(f"{provider_name}: the lake holds an endpoint {endpoint_name!r} that is not known.")
            continue
        frames = []
        for part in parts:
            frames.append(part.frame.with_columns(raw_file=pl.lit(part.file.name)))
            if part.ends is not None:
                ledger.append(LedgerRow(uuid.uuid4().hex, provider_name, endpoint_name, part.file.name, part.ends, now))
        rounds += [_round(connection, provider, endpoint, payloads) for payloads in _once_each(pl.concat(frames))]
    return _Batch(sum(part.ends is not None for part in batch), batch[-1].ends is not None, rounds, ledger)


def _derive_apart(loader: Loader, bounds: Sequence[int]) -> None:
    """Derive what was touched, in a transaction of its own."""
    _apart(loader.connection, partial(derive, loader.connection), bounds)
    loader.forget()


def _apart(connection: Connection, step: Callable[[], object], bounds: Sequence[int]) -> None:
    """A step of a first load, in a transaction of its own."""

    def taken() -> None:
        with transaction(connection):
            step()

    within_memory(connection, taken, bounds)


def _once_each(payloads: pl.DataFrame) -> list[pl.DataFrame]:
    """All versions of one endpoint's entities, oldest first, in frames that hold each entity once."""
    ranked = (
        payloads.sort("fetched_at", "payload_sha256", "raw_file")
        .with_columns(round=pl.int_range(pl.len()).over("entity_id"), fetched_at=pl.col("fetched_at").cast(pl.Datetime("us", "UTC")))
        .sort("round", maintain_order=True)
    )
    return ranked.partition_by("round", maintain_order=True, include_key=False)


def _round(connection: Connection, provider: Provider, endpoint: Endpoint, payloads: pl.DataFrame) -> _Round:
    narrow = payloads.select("entity_id", "parent_id", "fetched_at", "window_date", "payload")
    decoded, undecoded = decode(narrow, endpoint.tree, connection=connection)
    frames, row_rejects = flatten(endpoint, decoded)
    drift = find_drift(narrow, decoded, endpoint.tree, connection=connection)
    if "drift" in frames:  # what only the flatten can see
        drift = pl.concat([drift, frames.pop("drift").select(list(DRIFT_COLUMNS))]).unique(maintain_order=True)
    if payloads["repairs"].null_count() < payloads.height:
        drift = pl.concat([drift, _repairs(payloads)])

    versions = payloads.select(
        "entity_id", "payload_sha256", "fetched_at", "raw_file", is_open=pl.col("state").is_in(["open", "review"]).fill_null(value=False)
    )
    told = pl.concat([frames[name].select("entity_id") for name in _ENTITY_TABLES if name in frames]).unique()
    finality = pl.concat(
        [frames[name].select("entity_id", "is_terminal") for name in ("results", "runs") if name in frames]
        or [pl.DataFrame(schema={"entity_id": pl.String, "is_terminal": pl.Boolean})]
    )
    finality = finality.group_by("entity_id").agg(finality=pl.col("is_terminal").all().cast(pl.Int64))
    versions = versions.join(finality, on="entity_id", how="left").with_columns(pl.col("finality").fill_null(1))
    good = versions.join(told, on="entity_id", how="semi").select(_VERSION_COLUMNS)
    bad = versions.join(told, on="entity_id", how="anti").select(_VERSION_COLUMNS)
    rejects: dict[str, pl.DataFrame] = {}
    if bad.height or row_rejects.height:
        rejects["payload"] = _payload_rejects(bad, undecoded, row_rejects, provider, endpoint)
        rejects["row"] = row_rejects.join(good, on="entity_id", how="inner").drop("finality", "is_open")
    source = Source(provider.name, endpoint.name, endpoint.is_summary, endpoint.keeps_history)
    return _Round(source, good, bad, frames, drift, rejects)


def flatten(endpoint: Endpoint, decoded: pl.DataFrame) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """An endpoint's frames, validated: (good frames by table, rejects with entity_id, json_pointer, rule, error).

    Child rows without a parent row are rejects too. There is a frame for at least one of results, runs, sightings.
    """
    rejects: list[pl.DataFrame] = [pl.DataFrame(schema=REJECT_COLUMNS)]
    good: dict[str, pl.DataFrame] = {}
    for name, frame in (endpoint.flatten(decoded) if decoded.height else {}).items():
        if name == "drift":
            good[name] = frame
        else:  # a table that nobody has declared is a KeyError: its rows would be lost without a word
            table = FLATTENED[name]
            good[name], bad = split(conform(frame, table, _EXTRA.get(name, ())), table)
            rejects.append(bad)
    for name, frame in good.items():
        owner = FLATTENED[name].owner if name in FLATTENED else None
        if owner is None:
            continue
        parents = good.get("results" if owner == "result_key" else "runs")
        keys = parents.select(owner) if parents is not None else pl.DataFrame(schema={owner: pl.Int64})
        orphans = frame.join(keys, on=owner, how="anti")
        if orphans.height:
            rejects.append(
                orphans.select(
                    "entity_id",
                    json_pointer=pl.lit(f"/{name}"),
                    rule=pl.lit("no_parent"),
                    error=pl.lit(f"core.{name}: no parent"),
                ).unique()
            )
            good[name] = frame.join(keys, on=owner, how="semi")
    if not any(name in good for name in _ENTITY_TABLES):
        good["sightings"] = conform(pl.DataFrame(schema={"entity_id": pl.String}), FLATTENED["sightings"])
    return good, pl.concat(rejects)


def _repairs(payloads: pl.DataFrame) -> pl.DataFrame:
    repaired = payloads.filter(pl.col("repairs").is_not_null())
    return repaired.select(
        "entity_id",
        pl.lit("").alias("json_pointer"),
        pl.lit("repaired").alias("kind"),
    )


def _payload_rejects(
    bad: pl.DataFrame, undecoded: pl.DataFrame, rows: pl.DataFrame, provider: Provider, endpoint: Endpoint
) -> pl.DataFrame:
    """Why versions gave no entity row: they do not decode, or every entity row broke a rule."""
    why = pl.concat(
        [
            undecoded.select("entity_id", json_pointer=pl.lit(""), rule="rule", error=pl.lit("the payload is no JSON object")),
            rows,
        ]
    )
    place = f"{provider.name} {endpoint.name}"
    return (
        bad.drop("finality", "is_open")
        .join(why, on="entity_id", how="left")
        .with_columns(
            pl.col("json_pointer").fill_null(""),
            pl.col("rule").fill_null("no_entity_row"),
            pl.format("{}: {}", pl.lit(place), pl.col("error").fill_null("the payload gives no result or run")).alias("error"),
        )
    )
