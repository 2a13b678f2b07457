"""Leaves that every provider reads alike. Drift asks the expression that the flatten uses: what it cannot read is no silent NULL."""

from __future__ import annotations

from pipelines.schemas.leaves import Leaf
from pipelines.transform.expressions import from_epoch_ms, from_iso, non_negative, whole

INSTANT = Leaf("VARCHAR", read=from_iso)
"""A time as ISO-8601 text with a zone."""

EPOCH_MS = Leaf("DOUBLE", read=from_epoch_ms)
"""A time in milliseconds since 1970."""

DURATION = Leaf("DOUBLE", read=non_negative)
"""How long something took: a number, never negative, at most 7 days of milliseconds."""

WHOLE = Leaf("JSON", read=whole)
"""A count, port or size that keeps its literal in a JSON column beside its own column."""
