"""The one partition definition: UTC days. Tracked providers, core, marts and report have none."""

from datetime import UTC, datetime, timedelta

import dagster as dg

FIRST_DAY = "2025-01-01"
"""Earlier days cannot be backfilled from the UI: every provider deletes sooner (Checkly Enterprise keeps 180 days)."""

DAYS = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, end_offset=1, timezone="UTC")
"""`end_offset=1`: without it there is no partition of today."""

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def day_range_tags(first: datetime, last: datetime) -> dict[str, str]:
    """Run tags that make one run cover every day between two instants."""
    earliest = datetime.fromisoformat(FIRST_DAY).replace(tzinfo=UTC)
    first, last = max(first, earliest), max(last, earliest)
    return {RANGE_START: f"{first:%Y-%m-%d}", RANGE_END: f"{last:%Y-%m-%d}"}


def day_bounds(first: str, last: str) -> tuple[datetime, datetime]:
    """The instants that partition keys `first` to `last` cover, the end exclusive."""
    return (
        datetime.fromisoformat(first).replace(tzinfo=UTC),
        datetime.fromisoformat(last).replace(tzinfo=UTC) + timedelta(days=1),
    )
