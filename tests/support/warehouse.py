"""A warehouse to test marts and report on: core and meta tables filled row by row, or with a made but plausible history."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl

from pipelines.schemas import CORE, META
from pipelines.schemas.marts import MARTS
from pipelines.warehouse.ddl import create_all
from pipelines.warehouse.marts import build_marts

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def key_of(*parts: object) -> int:
    """The 63-bit key of the contract: first 8 bytes of MD5 over the parts joined by 0x1F, top bit cleared."""
    digest = hashlib.md5("\x1f".join(str(part) for part in parts).encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") & (2**63 - 1)


class Warehouse:
    """An in-memory warehouse. `result`, `run` and `add` fill rows; `build` makes the marts; `rows` asks."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("SET TimeZone = 'UTC'")
        create_all(self.connection)
        self._pending: dict[str, list[dict[str, object]]] = {}
        self._results = 0
        self._providers: dict[object, str] = {}  # of each result and run by its key: child rows carry it too

    def add(self, table: str, **values: object) -> None:
        """One row of a `schema.table`; columns that are not given are NULL, or a default where they must not be."""
        owner = values.get("result_key", values.get("run_key"))
        if owner in self._providers:
            values = {"provider": self._providers[owner]} | values
        self._pending.setdefault(table, []).append(values)

    def result(self, outcome: str = "passed", started_at: datetime | None = NOON, **values: object) -> int:
        """One result; final unless said otherwise. Returns its key."""
        self._results += 1
        provider = str(values.get("provider", "datadog"))
        result_id = str(values.get("result_id", f"result-{self._results:06}"))
        attempt = values.get("attempt", 1)
        row: dict[str, object] = {
            "result_key": key_of(provider, result_id, attempt),
            "provider": provider,
            "result_id": result_id,
            "attempt": attempt,
            "execution_id": values.get("execution_id", result_id),
            "try_number": 1,
            "is_final": outcome != "running",
            "test_id": "abc-def-ghi",
            "test_name": "Checkout",
            "location": "aws:eu-central-1",
            "outcome": outcome,
            "is_terminal": outcome != "running",
            "started_at": started_at,
            "utc_date": started_at.date() if started_at else None,
        }
        self._providers[row["result_key"]] = provider
        self.add("core.results", **(row | values))
        return int(str(row["result_key"]))

    def run(self, run_id: str, outcome: str = "passed", **values: object) -> int:
        """One run. Returns its key."""
        provider = str(values.get("provider", "checkly"))
        row: dict[str, object] = {
            "run_key": key_of(provider, run_id),
            "provider": provider,
            "run_id": run_id,
            "outcome": outcome,
            "is_terminal": True,
            "started_at": NOON,
            "utc_date": NOON.date(),
        }
        self._providers[row["run_key"]] = provider
        self.add("core.runs", **(row | values))
        return int(str(row["run_key"]))

    def write(self) -> None:
        """Write what was added."""
        for table, rows in self._pending.items():
            schema, name = table.split(".")
            columns = {"core": CORE, "meta": META}[schema][name].columns
            given = dict.fromkeys(column for row in rows for column in row)
            frame = pl.DataFrame(rows, schema={column: columns[column].dtype for column in given})
            self.connection.register("rows_in", frame.to_arrow())
            self.connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM rows_in")
        self.connection.execute("INSERT INTO stage.changed SELECT result_key, utc_date, test_id FROM core.results")
        self.connection.execute("INSERT INTO stage.changed_runs SELECT run_key FROM core.runs")
        self._pending.clear()

    def note(self, *result_keys: object) -> None:
        """Note results as changed since the marts were built."""
        self.connection.execute(
            "INSERT INTO stage.changed SELECT result_key, utc_date, test_id FROM core.results WHERE list_contains(?, result_key)",
            [list(result_keys)],
        )

    def build(self) -> dict[str, object]:
        """Write what was added and build the marts. Returns the row count of each."""
        self.write()
        build_marts(self.connection)
        return {name: self.rows(f"SELECT count(*) AS rows FROM marts.{name}")[0]["rows"] for name in MARTS}

    def rows(self, sql: str) -> list[dict[str, object]]:
        """The answer to a query, a dict per row."""
        cursor = self.connection.execute(sql)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, sql: str) -> dict[str, object]:
        """The one row that a query gives."""
        (row,) = self.rows(sql)
        return row


# ------------------------------------------------------------------------------------------------ a plausible history
_TESTS: Mapping[str, list[tuple[str, str, float, float]]] = {
    # provider: (test id, name, share of failures, typical ms)
    "datadog": [
        ("k3f-9aa-2bc", "API: list orders", 0.01, 180),
        ("p7q-11d-x0z", "API: create order, then read it back", 0.03, 420),
        ("w2e-6hh-0tt", "Browser: sign in and check out with a saved card", 0.12, 9300),
        ("m9c-3rr-8vv", "SSL certificate of shop.example.com", 0.0, 60),
    ],
    "checkly": [
        ("2a6f1c1e-77b0", "Homepage loads", 0.02, 1900),
        ("b8d3e9f2-40c1", "Search finds the newest product", 0.08, 3100),
        ("name:tests/cart.spec.ts::adds two items", "adds two items", 0.25, 6400),
    ],
    "applitools": [("tst-0417", "Visual: product page on six devices", 0.06, 0), ("tst-0418", "Visual: cart", 0.02, 0)],
    "docketqa": [("bp-31", "Refund request through the chat assistant", 0.15, 48000), ("bp-32", "Change of delivery address", 0.05, 39000)],
}
_PLACES = {"datadog": ["aws:eu-central-1", "aws:us-east-1"], "checkly": ["eu-west-1"], "applitools": [None], "docketqa": [None]}
_REASONS = {
    "datadog": ("TIMEOUT", "The request took longer than 60000 ms: https://shop.example.com/orders/{n}"),
    "checkly": (None, "expect(locator).toHaveText('2 items') failed: received \"1 items\" after {n} ms"),
    "applitools": (None, "3 differences found against baseline {n}"),
    "docketqa": (None, "Step not completed: no button 'Confirm refund' on the page (case {n})"),
}
_PHASES = {"dns": 0.06, "tcp": 0.08, "tls": 0.14, "wait": 0.02, "first_byte": 0.55, "download": 0.15}
_STEPS = ("Navigate to the start page", "Type the e-mail address", "Click 'Sign in'", "Wait for the cart", "Assert the total")


def plausible(now: datetime, *, days: int = 14, per_day: int = 12, seed: int = 7) -> Warehouse:
    """`days` days of history up to `now` for four providers: failures, retries, an outage, timings, steps, certificates. Not built yet."""
    warehouse, dice = Warehouse(), random.Random(seed)
    for provider, tests in _TESTS.items():
        for test_id, name, failing, typical in tests:
            warehouse.add(
                "core.tests",
                provider=provider,
                test_id=test_id,
                name=name,
                valid_from_at=now - timedelta(days=days),
                is_current=True,
                target_url="https://shop.example.com/" if provider in ("datadog", "checkly") else None,
            )
            for place in _PLACES[provider]:
                for number in range(days * per_day):
                    at = now - timedelta(days=days) + timedelta(days=1 / per_day) * number + timedelta(seconds=dice.uniform(0, 600))
                    age = (now - at).days
                    outage = provider == "datadog" and age == 4 and place == "aws:eu-central-1"
                    _execution(warehouse, dice, provider, test_id, place, at, failing + (0.5 if outage else 0), typical)
        warehouse.add(
            "meta.syncs", sync_id="s1", provider=provider, started_at=now - timedelta(minutes=6), ended_at=now - timedelta(minutes=5)
        )
    return warehouse


def _execution(
    warehouse: Warehouse, dice: random.Random, provider: str, test_id: str, place: str | None, at: datetime, failing: float, typical: float
) -> None:
    execution = f"{dice.getrandbits(60)}"
    tries = 0
    while True:
        tries += 1
        failed = dice.random() < failing
        final = not failed or tries == 2
        took = typical * dice.lognormvariate(0, 0.25) if typical else None
        outcome = "failed" if failed else ("degraded" if dice.random() < 0.02 else "passed")
        number = dice.randrange(10_000)
        code, reason = _REASONS[provider]
        result_id = f"{execution}-{tries}"
        started = at + timedelta(seconds=90 * (tries - 1))
        key = warehouse.result(
            outcome,
            started,
            provider=provider,
            test_id=test_id,
            test_name=None,
            location=place,
            result_id=result_id,
            execution_id=execution,
            try_number=tries,
            is_final=final,
            duration_ms=took,
            has_detail=True,
            response_time_ms=took if provider == "datadog" and took and took < 1000 else None,
            failure_code=code if failed else None,
            failure_message=reason.format(n=number) if failed and provider == "datadog" else None,
        )
        warehouse.add(
            "meta.versions",
            provider=provider,
            endpoint={"datadog": "api_results", "checkly": "test_session_results", "applitools": "plan_runs", "docketqa": "test_runs"}[
                provider
            ],
            entity_id=result_id,
            payload_sha256=f"{key:x}",
            fetched_at=started + timedelta(minutes=4),
            finality=1,
            is_open=False,
            raw_file="f",
            state="loaded",
        )
        if failed:
            warehouse.add(
                "core.errors",
                result_key=key,
                error_index=0,
                step_index=-1,
                origin="failure",
                code=code,
                message=reason.format(n=number),
                fingerprint=f"{provider}-reason",
            )
        if took and took < 1000:
            for phase, share in _PHASES.items():
                warehouse.add(
                    "core.timings",
                    result_key=key,
                    step_index=-1,
                    phase=phase,
                    is_total=False,
                    phase_raw=phase,
                    duration_ms=took * share * dice.uniform(0.7, 1.3),
                )
        elif took:
            for index, name in enumerate(_STEPS):
                warehouse.add(
                    "core.steps",
                    result_key=key,
                    step_index=index,
                    name=name,
                    outcome="passed",
                    duration_ms=took * dice.uniform(0.1, 0.3) * (1 + index / 4),
                )
        if test_id == "m9c-3rr-8vv" and place == "aws:us-east-1":
            warehouse.add(
                "core.certificates",
                result_key=key,
                subject_cn="shop.example.com",
                issuer_cn="Example CA",
                valid_from_at=at - timedelta(days=80),
                valid_to_at=NOON + timedelta(days=11),
            )
        if final:
            return
