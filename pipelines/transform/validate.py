"""Frames of a flatten -> frames that fit their declared tables, and the rows that do not.

Checks types, NULLs, vocabularies and keys within a payload. Parents are checked by the load, which knows them.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipelines.schemas import Table

REJECT_COLUMNS = {"entity_id": pl.String, "json_pointer": pl.String, "rule": pl.String, "error": pl.String}


def conform(frame: pl.DataFrame, table: Table, extra: Sequence[str] = ()) -> pl.DataFrame:
    """The frame with exactly the table's columns that a flatten gives, in order, plus `entity_id` and `extra`.

    Missing columns become NULL, as do numbers that are none (a text "NaN" that was read as a number, a product without bound): they cost
    no row. Derived columns are left to the load. Raises polars' errors for what is a bug of the flatten.
    """
    wanted: list[pl.Expr] = [pl.col("entity_id").cast(pl.String)]
    wanted += [pl.col(name) if name in frame.columns else pl.lit(None).alias(name) for name in extra]
    for name, column in table.columns.items():
        if column.metadata["is_derived"]:
            continue
        dtype = column.dtype
        value = pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype=dtype).alias(name)
        wanted.append(pl.when(value.is_finite()).then(value) if dtype == pl.Float64 else value)
    return frame.select(wanted)


def split(frame: pl.DataFrame, table: Table) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split a conformed frame into (good rows, rejects).

    `rejects` has the columns entity_id, json_pointer, rule, error. Of rows of one payload with one key the first stays; several
    payloads may tell of one run.
    """
    rules = _rules(table)
    keys = [name for name in table.model.primary_key() if name in frame.columns]
    first = pl.struct("entity_id", *keys).is_first_distinct() if keys else pl.lit(value=True)
    holds_for_all = frame.select(**{rule: holds.all() for rule, holds in rules}, first=first.all()).row(0, named=True)
    good = frame
    rejects: list[pl.DataFrame] = []
    for rule, holds in rules:
        if not holds_for_all[rule]:
            rejects.append(_rejects(good.filter(~holds), table, rule))
            good = good.filter(holds)
    if not holds_for_all["first"]:
        rejects.append(_rejects(good.filter(~first), table, "duplicate_key"))
        good = good.filter(first)
    return good, pl.concat(rejects) if rejects else pl.DataFrame(schema=REJECT_COLUMNS)


def _rules(table: Table) -> list[tuple[str, pl.Expr]]:
    rules: list[tuple[str, pl.Expr]] = []
    for name, column in table.columns.items():
        if column.metadata["is_derived"]:
            continue
        for rule, expression in column.validation_rules(pl.col(name)).items():
            rules.append((f"{name}|{rule}", expression.fill_null(value=True)))
    return rules


def _rejects(bad: pl.DataFrame, table: Table, rule: str) -> pl.DataFrame:
    index = [name for name in table.model.primary_key() if name in bad.columns and name.endswith("_index")]
    place = pl.concat_str(pl.lit(f"/{table.name}"), *[pl.format("/{}", pl.col(name)) for name in index])
    return bad.select(
        "entity_id",
        place.alias("json_pointer"),
        pl.lit(rule).alias("rule"),
        pl.lit(f"{table.full_name}: {rule}").alias("error"),
    ).unique(maintain_order=True)
