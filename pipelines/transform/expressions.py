"""Polars expressions that every flatten shares: keys, instants, JSON text, outcomes, phases. Nothing provider-specific, no IO."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import polars as pl

from pipelines.schemas.leaves import Leaf, Tree
from pipelines.transform.decode import MEMBERS, split

_SEPARATOR = b"\x1f"
_EXACT = 2.0**53
_EARLIEST = pl.datetime(2010, 1, 1, time_zone="UTC", time_unit="us")
_LATEST = pl.datetime(2100, 1, 1, time_zone="UTC", time_unit="us")

LONGEST_MS = 7 * 86_400_000.0
"""What has not ended after 7 days is given up, so nothing takes longer: a greater number is in another unit, or wrong."""

PHASES: dict[str, str] = {
    "dns": "dns",
    "tcp": "tcp",
    "ssl": "tls",
    "tls": "tls",
    "handshake": "handshake",
    "wait": "wait",
    "firstByte": "first_byte",
    "download": "download",
    "redirect": "redirect",
    "total": "total",
    "socket": "socket",
    "lookup": "lookup",
    "connect": "connect",
    "response": "response",
    "end": "end",
}
"""The provider's name of a phase -> the common one; any other becomes its snake_case."""


def hash_key(*parts: bytes) -> int:
    """First 8 bytes, big-endian, top bit cleared, of the MD5 of the parts joined by 0x1F (contract §4)."""
    digest = hashlib.md5(_SEPARATOR.join(parts), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") & 0x7FFF_FFFF_FFFF_FFFF


def result_key(provider: str, result_id: pl.Expr, attempt: pl.Expr | int = 1) -> pl.Expr:
    """The BIGINT key of a result; NULL where the id is NULL."""
    name = provider.encode()
    attempt = pl.lit(attempt, dtype=pl.Int64) if isinstance(attempt, int) else attempt.cast(pl.Int64)

    def keys(pairs: pl.Series) -> pl.Series:
        ids, attempts = pairs.struct.field("id").to_list(), pairs.struct.field("attempt").to_list()
        return pl.Series(
            [
                None if id_ is None else hash_key(name, id_.encode(), str(number).encode())
                for id_, number in zip(ids, attempts, strict=True)
            ],
            dtype=pl.Int64,
        )

    return pl.struct(result_id.alias("id"), attempt.alias("attempt")).map_batches(keys, return_dtype=pl.Int64)


def run_key(provider: str, run_id: pl.Expr) -> pl.Expr:
    """The BIGINT key of a run; NULL where the id is NULL."""
    name = provider.encode()

    def keys(ids: pl.Series) -> pl.Series:
        return pl.Series([None if id_ is None else hash_key(name, id_.encode()) for id_ in ids.to_list()], dtype=pl.Int64)

    return run_id.map_batches(keys, return_dtype=pl.Int64)


def from_epoch_ms(column: pl.Expr) -> pl.Expr:
    """An instant from milliseconds since 1970; implausible ones (before 2010, after 2100) become NULL."""
    return plausible((column * 1000.0).cast(pl.Int64, strict=False).cast(pl.Datetime("us", "UTC")))


def from_iso(column: pl.Expr) -> pl.Expr:
    """An instant from ISO-8601 text with a zone; text without a zone or implausible instants become NULL."""
    return plausible(column.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False))


def plausible(instant: pl.Expr) -> pl.Expr:
    """The instant, NULL when it is before 2010 or after 2100."""
    return pl.when(instant.is_between(_EARLIEST, _LATEST)).then(instant)


def elapsed_ms(started_at: pl.Expr, ended_at: pl.Expr) -> pl.Expr:
    """Milliseconds between two instants, NULL when the end is before the start, implausibly late, or one is missing."""
    # rounded: a column that is divided by a number is multiplied by its inverse, unless it has one row (polars 2.1.0): 661995.2000000001
    return non_negative(((ended_at - started_at).dt.total_microseconds() / 1000.0).round(3))


def non_negative(column: pl.Expr) -> pl.Expr:
    """Milliseconds as they are, NULL when they are negative, not finite or more than `LONGEST_MS`: no percentile counts those."""
    return pl.when(column.is_between(0, LONGEST_MS)).then(column)


def implausible(column: pl.Expr) -> pl.Expr:
    """Milliseconds that `non_negative` turns into NULL, for `attributes`."""
    return pl.when(non_negative(column).is_null()).then(column)


def whole(json_text: pl.Expr) -> pl.Expr:
    """The whole number in JSON text, also one that came as a string; NULL for anything else."""
    number = plain(json_text).cast(pl.Float64, strict=False)
    return pl.when(number == number.floor()).then(number.cast(pl.Int64, strict=False))


def plain(json_text: pl.Expr) -> pl.Expr:
    """Text of a JSON value: scalars plain, objects and lists as compact JSON, null as NULL."""
    return json_text.str.json_path_match("$")


def said(text: pl.Expr | str) -> pl.Expr:
    """The text, or that of the column; NULL when it is blank: APIs send an empty text for none."""
    column = pl.col(text) if isinstance(text, str) else text
    return pl.when(column.str.strip_chars() != "").then(column)


def inner(json_text: pl.Expr, path: str) -> pl.Expr:
    """Text at a JSONPath below a JSON value, NULL where there is none."""
    return json_text.str.json_path_match(path)


def quoted(text: pl.Expr) -> pl.Expr:
    """A text as JSON string literal."""
    escaped = pl.struct(text.alias("v")).struct.json_encode().str.strip_prefix('{"v":').str.strip_suffix("}")
    return pl.when(text.is_not_null()).then(escaped)


def json_object(fields: Mapping[str, pl.Expr]) -> pl.Expr:
    """A JSON object out of expressions that are JSON text already (leaves decoded as JSON); NULL ones are left out,
    and an object without any field is NULL."""
    parts = [pl.concat_str(pl.lit(f'"{name}":'), value.cast(pl.String)) for name, value in fields.items()]
    body = pl.concat_str(parts, separator=",", ignore_nulls=True).replace("", None)  # named once: what is named twice is computed twice
    return pl.concat_str(pl.lit("{"), body, pl.lit("}"))


def json_list(texts: pl.Expr) -> pl.Expr:
    """A JSON list out of a list column whose elements are JSON text already; NULL stays NULL."""
    return pl.concat_str(pl.lit("["), texts.list.join(",", ignore_nulls=True), pl.lit("]"))


def outcome(rules: Sequence[tuple[pl.Expr, str]]) -> list[pl.Expr]:
    """Columns `outcome` and `outcome_rank` from rules of which the first match wins; no match is `unknown`.

    The rank (place of the rule) lets the load merge a list row with its detail: the stronger evidence wins.
    """
    word: pl.Expr = pl.lit("unknown")
    rank: pl.Expr = pl.lit(len(rules), dtype=pl.Int64)
    for place, (condition, value) in reversed(list(enumerate(rules))):
        matches = condition.fill_null(value=False)
        word = pl.when(matches).then(pl.lit(value)).otherwise(word)
        rank = pl.when(matches).then(pl.lit(place, dtype=pl.Int64)).otherwise(rank)
    return [word.alias("outcome"), rank.alias("outcome_rank")]


def explode_indexed(frame: pl.DataFrame, column: str, index: str) -> pl.DataFrame:
    """One row per list element, with its place from 0 as `index`; rows with NULL or empty lists vanish."""
    indexed = frame.with_columns(pl.int_ranges(pl.col(column).list.len(), dtype=pl.Int64).alias(index))
    return indexed.explode(column, index, empty_as_null=False, keep_nulls=False)


def snake_case(name: str) -> str:
    """`onContentLoad` -> `on_content_load`, `TTFB` -> `ttfb`."""
    out: list[str] = []
    for place, char in enumerate(name):
        if char.isupper() and place and not name[place - 1].isupper() and name[place - 1] != "_":
            out.append("_")
        out.append(char.lower() if char.isalnum() else "_")
    return "".join(out)


def renamed(names: pl.Expr, rename: Callable[[str], str]) -> pl.Expr:
    """Names in other words: `rename` is asked once for each distinct name."""

    def rename_all(given: pl.Series) -> pl.Series:
        known = given.drop_nulls().unique()
        return given.replace_strict(known, pl.Series([rename(name) for name in known.to_list()], dtype=pl.String), return_dtype=pl.String)

    return names.map_batches(rename_all, return_dtype=pl.String)


def phase_rows(
    frame: pl.DataFrame,
    struct: str,
    *,
    keep: Sequence[str],
    measure: str = "duration_ms",
) -> pl.DataFrame:
    """Rows of `core.timings` from a struct column of phase -> number.

    `keep` are the columns carried along; `measure` is `duration_ms` or `offset_ms`. NULL and implausible numbers give no row.
    """
    dtype = frame.schema[struct]
    assert isinstance(dtype, pl.Struct)
    parts = [
        frame.select(
            *keep,
            pl.lit(PHASES.get(field.name, snake_case(field.name))).alias("phase"),
            non_negative(pl.col(struct).struct.field(field.name).cast(pl.Float64)).alias(measure),
            pl.lit(PHASES.get(field.name) == "total").alias("is_total"),
            pl.lit(field.name).alias("phase_raw"),
        )
        for field in dtype.fields
    ]
    return pl.concat(parts).filter(pl.col(measure).is_not_null())


def members(json_text: pl.Expr) -> pl.Expr:
    """The members of JSON texts as a list of structs (`name`, `value`), values again as JSON text.

    An object gives its members by name; a list its elements, any other value itself, with `name` NULL. JSON nulls are
    left out.
    """
    return json_text.map_batches(split, return_dtype=MEMBERS)


def as_json(value: pl.Expr, tree: Tree) -> pl.Expr:
    """A decoded value as JSON text again, ready for `json_object()`; NULL members are left out."""
    if isinstance(tree, dict):
        return json_object({name: as_json(value.struct.field(name), child) for name, child in tree.items()})
    if isinstance(tree, list):
        return json_list(value.list.eval(as_json(pl.element(), tree[0])))
    if isinstance(tree, Leaf) and tree.type == "VARCHAR":
        return quoted(value)
    if isinstance(tree, Leaf) and tree.type == "DOUBLE":
        return number_text(value)
    return value.cast(pl.String)


def number_text(value: pl.Expr) -> pl.Expr:
    """A decoded number as JSON text: 201, not 201.0."""
    is_whole = (value == value.floor()) & (value.abs() < _EXACT)
    return pl.when(is_whole).then(value.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(value.cast(pl.String))
