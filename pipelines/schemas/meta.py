"""The `meta` tables: the loader's own books. What they count is defined in the contract §4."""

from __future__ import annotations

import dataframely as dy

from pipelines.schemas.columns import count, flag, instant, text


class Syncs(dy.Schema):
    """One sync of one provider."""

    sync_id = text("Id of the sync", primary=True)
    provider = text("Provider name", primary=True)
    started_at = instant("When it started", required=True)
    ended_at = instant("When it ended")
    requests = count("HTTP requests made")
    landed = count("Payload versions landed")
    unchanged = count("Payloads that had not changed")
    error = text("One redacted line, NULL when all went well")


class Loads(dy.Schema):
    """One raw file that was loaded: the ledger."""

    load_id = text("Id of the load", primary=True)
    provider = text("Provider name", required=True)
    endpoint = text("Endpoint", required=True)
    raw_file = text("Path of the file below the lake's raw folder", required=True)
    payloads = count("Payload versions in the file", required=True)
    loaded = count("Versions whose rows stand in core", required=True)
    superseded = count("Versions that a newer one replaced", required=True)
    rejected = count("Versions that gave no row", required=True)
    loaded_at = instant("When it was loaded", required=True)


class Rejects(dy.Schema):
    """Dead letters: a payload or a row that could not be used."""

    provider = text("Provider name", primary=True)
    endpoint = text("Endpoint", primary=True)
    entity_id = text("The provider's id of the entity", primary=True)
    payload_sha256 = text("Hash of the payload, or of the refused body", primary=True)
    json_pointer = text("Where in the payload, '' for the whole", primary=True)
    rule = text("Which rule it broke", primary=True)
    scope = text("payload or row", required=True)
    error = text("What is wrong, redacted")
    raw_file = text("File it is in")
    first_seen_at = instant("First time it was seen")
    resolved_at = instant("When a good version replaced it")


class Drift(dy.Schema):
    """What current versions hold that is not documented."""

    provider = text("Provider name", primary=True)
    endpoint = text("Endpoint", primary=True)
    json_pointer = text("Where, with * for list places", primary=True)
    kind = text("unknown_field, type_change, unknown_value, repaired", primary=True)
    first_seen_at = instant("First time it was seen")
    last_seen_at = instant("Last time it was seen")
    occurrences = count("Payloads that hold it", required=True)


class Gaps(dy.Schema):
    """A span of time in which less landed than was expected."""

    provider = text("Provider name", primary=True)
    test_id = text("Test or scope, '' for a whole list", primary=True)
    location = text("Location, '' for all", primary=True)
    gap_start_at = instant("Start of the gap", primary=True)
    gap_end_at = instant("End of the gap")
    expected = count("Results expected by frequency")
    landed = count("Results landed")
    reason = text("Why: not_covered, …")


class Columns(dy.Schema):
    """The data dictionary."""

    schema_name = text("Schema", primary=True)
    table_name = text("Table", primary=True)
    column_name = text("Column", primary=True)
    data_type = text("DuckDB type", required=True)
    unit = text("Unit")
    description = text("Meaning", required=True)
    source = text("Where it comes from")


class Versions(dy.Schema):
    """One landed payload version and what became of it: conservation is counted from here."""

    provider = text("Provider name", required=True)
    endpoint = text("Endpoint", required=True)
    entity_id = text("The provider's id of the entity", required=True)
    payload_sha256 = text("Hash of the payload", required=True)
    fetched_at = instant("When it was fetched", required=True)
    finality = count("1 for a terminal version, 0 for a running one", required=True)
    is_open = flag("True when the entity is fetched again: it runs, or may still be reviewed", required=True)
    raw_file = text("File it is in", required=True)
    state = text("loaded, superseded, rejected", required=True)
