"""Every table of the warehouse, by name: what `pipelines.schemas` gives. Columns are declared in `core` and `meta` beside this."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dataframely as dy

from pipelines.schemas import core, meta


@dataclass(frozen=True)
class Table:
    """One declared table. `owner` is the key column of the table above it (runs or results), None for the others."""

    schema_name: str
    name: str
    model: type[dy.Schema]
    owner: str | None = None

    @property
    def full_name(self) -> str:
        """`schema.table`, quoted where it must be."""
        return f"{self.schema_name}.{self.name}"

    @cached_property
    def columns(self) -> dict[str, Any]:
        """Declared columns by name, in order."""
        return dict(self.model.columns())

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell its rows apart; () where no such columns are declared."""
        return tuple(self.model.primary_key())

    @property
    def description(self) -> str:
        """The table's comment: first line of its class's docstring."""
        return (self.model.__doc__ or "").strip().splitlines()[0]


def _core(name: str, model: type[dy.Schema], owner: str | None = None) -> Table:
    return Table("core", name, model, owner)


RUNS = _core("runs", core.Runs)
RESULTS = _core("results", core.Results)
TESTS = _core("tests", core.Tests)
CHILDREN: dict[str, Table] = {
    table.name: table
    for table in (
        _core("steps", core.Steps, "result_key"),
        _core("actions", core.Actions, "result_key"),
        _core("assertions", core.Assertions, "result_key"),
        _core("timings", core.Timings, "result_key"),
        _core("errors", core.Errors, "result_key"),
        _core("logs", core.Logs, "result_key"),
        _core("artifacts", core.Artifacts, "result_key"),
        _core("page_vitals", core.PageVitals, "result_key"),
        _core("certificates", core.Certificates, "result_key"),
        _core("exchanges", core.Exchanges, "result_key"),
        _core("hops", core.Hops, "result_key"),
        _core("dns_records", core.DnsRecords, "result_key"),
        _core("pings", core.Pings, "result_key"),
        _core("suggestions", core.Suggestions, "result_key"),
        _core("environments", core.Environments, "run_key"),
    )
}
"""Tables whose rows belong to one result or run."""

SIGHTINGS = Table("stage", "sightings", core.Sightings)

META: dict[str, Table] = {
    table.name: table
    for table in (
        Table("meta", "syncs", meta.Syncs),
        Table("meta", "loads", meta.Loads),
        Table("meta", "rejects", meta.Rejects),
        Table("meta", "drift", meta.Drift),
        Table("meta", "gaps", meta.Gaps),
        Table("meta", "columns", meta.Columns),
        Table("meta", "versions", meta.Versions),
    )
}

CORE: dict[str, Table] = {table.name: table for table in (RUNS, RESULTS, *CHILDREN.values(), TESTS)}

FLATTENED: dict[str, Table] = {"runs": RUNS, "results": RESULTS, **CHILDREN, "sightings": SIGHTINGS}
"""What a provider's flatten may return, by name."""
