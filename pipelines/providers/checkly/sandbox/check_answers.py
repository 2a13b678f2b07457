"""The API's JSON for the result of a scheduled check (an entry of GET /v2/check-results/{checkId}).

Field names, nullability and enums: OpenAPI of 2026-08-18; it names no status, no check type and no link. Blocks are those of
test sessions; SSL, gRPC and traceroute results always carry theirs here. TCP, DNS, ICMP and heartbeat have none.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pipelines.providers.checkly.sandbox.answers import BLOCKS, UNDOCUMENTED_BLOCKS, sign
from pipelines.providers.checkly.sandbox.monitors import MonitorTry, check_id
from pipelines.providers.checkly.sandbox.run import JSON, Run, epoch_ms, iso
from pipelines.sandbox.world import World

_BLOCKS = BLOCKS | UNDOCUMENTED_BLOCKS


def check_result(world: World, each: MonitorTry) -> JSON:
    """One result, over by the world's now."""
    item = each.item
    is_group = item.failed
    return {
        "id": item.id,
        "name": item.check.name,
        "checkId": check_id(world, item.check),
        "hasFailures": item.outcome in ("failed", "too_slow"),
        "hasErrors": item.outcome == "request_error",
        "isDegraded": item.outcome == "degraded",
        "isCancelled": False,
        "overMaxResponseTime": item.outcome == "too_slow",
        "runLocation": each.location,
        "startedAt": iso(item.started_at),
        "stoppedAt": iso(item.stopped_at),
        "created_at": iso(each.stored_at),
        "responseTime": item.response_ms,
        **_blocks(world, each),
        "checkRunId": epoch_ms(item.started_at),
        "attempts": item.number,
        "resultType": "FINAL" if item.is_last else "ATTEMPT",
        "sequenceId": item.sequence_id,
        "traceId": hashlib.sha256(item.id.encode()).hexdigest()[:32] if item.check.type in ("API", "BROWSER") else None,
        "errorGroupIds": [world.uuid("checkly", "error-group", item.check.key, item.outcome)] if is_group else [],
    }


def _blocks(world: World, each: MonitorTry) -> JSON:
    item = each.item
    blocks: JSON = dict.fromkeys(name for name, _ in _BLOCKS.values())
    if item.check.type in _BLOCKS:
        name, make = _BLOCKS[item.check.type]
        block = make(
            Run(
                check=item.check,
                outcome=item.outcome,
                location=each.location,
                started_at=item.started_at,
                stopped_at=item.stopped_at,
                response_ms=item.response_ms,
                rng=world.rng("checkly", item.id, "content"),
                sign=lambda file: sign(world, f"checks/{item.id}/{file}"),
            )
        )
        blocks[name] = block | {"response": _told(block["response"])} if "response" in block else block
    return blocks


def _told(response: JSON) -> dict[str, Any]:
    """Here the schema's response has headers and timings as objects, not null: without an answer they are left out."""
    return {name: value for name, value in response.items() if value is not None}
