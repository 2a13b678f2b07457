"""What a payload says that cannot all be true, as drift: an end before its start, phases that sum up to more than their total.

Each value by itself is fine, so no leaf can tell: a flatten gives these rows as its frame `drift`. Nothing is removed but a duration that
no two instants give; which one of contradicting phases is wrong, nobody knows.
"""

from __future__ import annotations

import polars as pl

from pipelines.transform.expressions import elapsed_ms

IN_TURN = ("dns", "tcp", "tls", "first_byte", "download")
"""Phases that follow each other with every provider, each within the total."""

ROUNDING_MS = 3.0
"""What these five and their total can be off, each rounded to a millisecond by itself."""


def out_of_order(frame: pl.DataFrame, pointer: str) -> pl.DataFrame:
    """Drift of rows with entity_id, started_at and ended_at that are no span: the end is before the start, or implausibly late."""
    start, end = pl.col("started_at"), pl.col("ended_at")
    is_odd = start.is_not_null() & end.is_not_null() & elapsed_ms(start, end).is_null()
    return _drift(frame.filter(is_odd), pl.lit(pointer), "type_change")


def overfull(phases: pl.DataFrame, pointer: pl.Expr | str) -> pl.DataFrame:
    """Drift of exchanges whose phases sum up to more than their total. `phases` has rows of `core.timings`; `pointer` is that of the
    total, and tells exchanges of one step apart."""
    pointer = pl.lit(pointer) if isinstance(pointer, str) else pointer
    ms, phase = pl.col("duration_ms"), pl.col("phase")
    exchanges = phases.group_by("entity_id", "result_key", "step_index", pointer.alias("json_pointer"), maintain_order=True).agg(
        sum=ms.filter(phase.is_in(IN_TURN)).sum(), total=ms.filter(phase == "total").first()
    )
    return _drift(exchanges.filter(pl.col("sum") > pl.col("total") + ROUNDING_MS), pl.col("json_pointer"), "unknown_value")


def _drift(frame: pl.DataFrame, pointer: pl.Expr, kind: str) -> pl.DataFrame:
    return frame.select("entity_id", json_pointer=pointer, kind=pl.lit(kind)).unique(maintain_order=True)
