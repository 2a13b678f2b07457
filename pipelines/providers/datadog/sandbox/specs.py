"""What one made-up Synthetics test is: its definition and how its runs tend to end. The tests themselves: `http_tests`,
`network_tests`, `browser_tests`, `v2_tests`.

Shapes follow the v1 document and recorded `GET /synthetics/tests` answers (datadog-api-client-go cassettes,
2020-2026): public ids are three groups of three lower-case alphanumerics without look-alikes, `tick_every` is
seconds, `retry.interval` is milliseconds, `request.timeout` is seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pipelines.sandbox.world import World, epoch_ms

Json = dict[str, Any]

ALPHABET = "23456789abcdefghijkmnpqrstuvwxyz"
HOUR_S = 3600
DAY_S = 86400

N_VIRGINIA = "aws:us-east-1"
OREGON = "aws:us-west-2"
FRANKFURT = "aws:eu-central-1"
DUBLIN = "aws:eu-west-1"
TOKYO = "aws:ap-northeast-1"
SYDNEY = "aws:ap-southeast-2"
MONTREAL = "aws:ca-central-1"
# A result's `check` holds these of the definition (recorded 2022-07: type, config, options; poll example: the others).
_CHECK_KEYS = frozenset({"type", "subtype", "config", "options", "locations"})

PRIVATE = "pl:warehouse-berlin-527d63de5764c9fdad65fd1a5ac64a8e"


def public_id(slug: str) -> str:
    """The public id of the made-up thing named `slug`, in the vendor's form."""
    digest = hashlib.sha256(slug.encode()).digest()
    letters = "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:9])
    return f"{letters[:3]}-{letters[3:6]}-{letters[6:]}"


@dataclass(frozen=True)
class Step:
    """One configured browser step; `steps` are those of the subtest that a playSubTest step plays."""

    type: str
    description: str
    value: Any = None
    check: str | None = None
    page: str = "/"
    typical_ms: float = 700.0
    allow_failure: bool = False
    is_critical: bool = True
    tab: int | None = None
    steps: tuple[Step, ...] = ()


RECENT = timedelta(hours=24)
"""Age of a `recent` test: more than one page of 150 rows when it runs every hour in seven places."""


@dataclass(frozen=True)
class Spec:
    """One test. `failures` are the ways it fails, `fail_share` and `flaky_share` how often, `script` the ends of its
    newest runs in its first location (newest first), so that every kind is there whatever the seed.

    `edits`: later configs as (offset from the world's start, config), each a new check_version.
    `life`: `old` ran the whole history, `recent` only since `RECENT` before the world's start (a busy test would else be most
    of the sandbox), `paused` stopped half-way, `new` has nothing finished at the world's start.
    """

    slug: str
    name: str
    subtype: str | None
    config: Json
    locations: tuple[str, ...]
    tick_s: int
    type: Literal["api", "browser", "mobile", "network"] = "api"
    options: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    message: str = ""
    devices: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    typical_ms: float = 180.0
    fail_share: float = 0.02
    flaky_share: float = 0.02
    failures: tuple[str, ...] = ("assertion", "timeout")
    script: tuple[str, ...] = ()
    retries: int = 1
    edits: tuple[tuple[timedelta, Json], ...] = ()
    life: Literal["old", "recent", "paused", "new"] = "old"
    is_legacy: bool = False
    has_late: bool = False
    triggered_per_day: int = 0
    in_flight: tuple[str, ...] = ()

    @property
    def public_id(self) -> str:
        """The test's public id."""
        return public_id(self.slug)


@dataclass(frozen=True)
class Version:
    """One version of a test's definition: as listed, and the `check` its results carry (the same objects)."""

    number: int
    from_ms: int
    definition: Json
    check: Json


def versions(world: World, spec: Spec) -> tuple[Version, ...]:
    """All versions of a test's definition, oldest first, also those that come after the world's now."""
    ages = {"new": timedelta(minutes=12), "recent": RECENT}
    created = world.started_at - ages.get(spec.life, timedelta(days=400))
    made = []
    for number, (offset, config) in enumerate([(created - world.started_at, spec.config), *spec.edits], start=1):
        modified = world.started_at + offset
        definition = _definition(world, spec, config, created, modified)
        check = {key: value for key, value in definition.items() if key in _CHECK_KEYS}
        made.append(Version(number, epoch_ms(modified), definition, check))
    return tuple(made)


def _definition(world: World, spec: Spec, config: Json, created: datetime, modified: datetime) -> Json:
    rng = world.rng("datadog", "definition", spec.slug)
    options: Json = {
        "min_failure_duration": 0,
        "min_location_failed": 1,
        "monitor_name": f"[Synthetics] {spec.name}",
        "monitor_options": {
            "include_tags": True,
            "new_host_delay": 300,
            "notify_audit": False,
            "on_missing_data": "show_no_data",
            "renotify_interval": 120,
        },
        "monitor_priority": rng.randint(1, 5),
        "tick_every": spec.tick_s,
        "retry": {"count": spec.retries, "interval": 300},
    }
    if spec.devices:
        options["device_ids"] = list(spec.devices)
    options.update(spec.options)
    person = rng.choice(("Amara Diallo", "Jonas Weber", None))
    handle = "release-bot@shop.example.com" if person is None else f"{person.split()[0].lower()}@shop.example.com"
    definition: Json = {
        "public_id": spec.public_id,
        "name": spec.name,
        "status": "paused" if spec.life == "paused" else "live",
        "type": spec.type,
        "tags": list(spec.tags),
        "created_at": _iso(created),
        "modified_at": _iso(modified),
        "config": config,
        "message": spec.message,
        "options": options,
        "locations": list(spec.locations),
        "monitor_id": rng.randint(10_000_000, 310_000_000),
        "creator": {"name": person, "handle": handle, "email": handle},
    }
    if spec.subtype is not None:
        definition["subtype"] = spec.subtype
    return definition


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds")
