"""Is every documented leaf in the warehouse? Plants a value in each, lands the documents, and looks for each value in its declared place.

`python -m tests.support.coverage [provider[/endpoint] ...]` prints the table and what is missing; for all of them (`make coverage`) it
writes docs/coverage.md. Documents come from the leaf tree, with every alternative, every enum word and both truth values in turn; places
from `Endpoint.places`. Nothing here knows a provider.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from pipelines.jsontext import dump, parse
from pipelines.lake.redact import REDACTION_VERSION, Redactor
from pipelines.lake.store import Lake, RawRow
from pipelines.providers import load_providers
from pipelines.providers.spec import Endpoint, Provider
from pipelines.schemas import CORE
from pipelines.schemas.leaves import Free, Headers, Leaf, OneOf, Tree
from pipelines.schemas.places import Places, Target
from pipelines.transform.drift import escape
from pipelines.transform.expressions import from_epoch_ms, from_iso
from tests.support.house import House

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MAX_DOCUMENTS = 150
KEY = b"c" * 32
_SECRET = re.compile(r"s3cr3t-\d{5}-\d{5}")


@dataclass(frozen=True)
class Planted:
    """One value in one document. `concrete` is the pointer with list places, `pointer` the declared one with `*`."""

    entity_id: str
    pointer: str
    concrete: str
    masking: str
    is_map: bool = False


@dataclass
class Found:
    """What became of one endpoint's leaves: pointer -> how it stands ("typed", "attributes", "secret") or why it is missing."""

    provider: str
    endpoint: str
    document: str
    documents: int = 0
    placed: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    leaked: list[str] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """How many leaves stand how."""
        return Counter(self.placed.values())


class Planter:
    """Makes documents of one tree. Each visit of a place with alternatives takes the next of them."""

    def __init__(self, tree: Tree, places: Places) -> None:
        self.tree, self.places = tree, places
        self.ids = (places.id,) if isinstance(places.id, str) else places.id
        self.number = 0
        self.visits: Counter[str] = Counter()
        self.options: dict[str, int] = {}
        self.planted: list[Planted] = []
        self.secrets: list[str] = []

    def documents(self) -> list[tuple[str, Any]]:
        """Entity id and document, until every alternative of every place has been taken."""
        made: list[tuple[str, Any]] = []
        while not made or (len(made) < MAX_DOCUMENTS and any(self.visits[place] < count for place, count in self.options.items())):
            entity_id = f"e{len(made):04d}"
            made.append((entity_id, self._plant(self.tree, "", "", entity_id)))
        return made

    def _next(self, place: str, count: int) -> int:
        self.options[place] = count
        self.visits[place] += 1
        return (self.visits[place] - 1) % count

    def _plant(self, tree: Tree, pointer: str, concrete: str, entity_id: str) -> Any:
        if isinstance(tree, dict):
            names = set(tree)
            forms = self.places.forms.get(pointer, ())
            if forms:
                chosen = forms[self._next(f"{pointer} forms", len(forms))]
                names -= {name for form in forms for name in form} - set(chosen)
            return {
                name: self._plant(child, f"{pointer}/{escape(name)}", f"{concrete}/{escape(name)}", entity_id)
                for name, child in tree.items()
                if name in names
            }
        if isinstance(tree, list):
            return [self._plant(tree[0], f"{pointer}/*", f"{concrete}/0", entity_id)]
        if isinstance(tree, OneOf):
            options: list[Tree] = [tree.scalar] if tree.scalar is not None else []
            options += [tree.object] if tree.object is not None else []
            options += [[tree.list]] if tree.list is not None else []
            return self._plant(options[self._next(f"{pointer} oneOf", len(options))], pointer, concrete, entity_id)
        self.number += 1
        masking = tree.masking if isinstance(tree, Leaf | Free) else "scrub"
        self.planted.append(Planted(entity_id, pointer, concrete, masking, not isinstance(tree, Leaf)))
        if pointer in self.ids:
            return entity_id
        if isinstance(tree, Leaf):
            return self._value(tree, pointer)
        name = "Authorization" if isinstance(tree, Headers) else "password"
        if masking == "keep":
            return {f"x-{self.number}": f"plain v{self.number}"}
        return {f"x-{self.number}": f"plain v{self.number}", name: self._secret()}

    def _value(self, leaf: Leaf, pointer: str) -> Any:
        number = self.number
        targets = self.places.of(pointer)
        if pointer in self.places.samples:
            return self.places.samples[pointer](number)
        for target in targets:
            if target.form is not None and target.form.sample is not None:
                return target.form.sample(number)
        if leaf.values is not None:
            words = sorted(leaf.values)
            return words[self._next(f"{pointer} word", len(words))]
        if leaf.masking == "mask":
            return self._secret()
        kinds = {_sql(target) for target in targets}
        if "TIMESTAMPTZ" in kinds or leaf.read in (from_iso, from_epoch_ms):
            is_end = any(target.column.endswith(".ended_at") for target in targets)  # after the start, wherever that stands
            instant = NOW - timedelta(days=2, hours=0 if is_end else 1) + timedelta(milliseconds=1013 * number)
            return round(instant.timestamp() * 1000) if leaf.type == "DOUBLE" else instant.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        if "BOOLEAN" in kinds or leaf.type == "BOOLEAN":
            return bool(self._next(f"{pointer} flag", 2))
        if leaf.type == "DOUBLE" or kinds & {"BIGINT", "DOUBLE"}:
            number *= 10 if pointer.endswith("/total") else 1  # more than the phases beside it sum up to: else it is drift
            return number if "BIGINT" in kinds else number + 0.5
        if leaf.masking == "scrub":
            return f"plain v{number} password='{self._secret()}'"
        if leaf.type == "JSON" and "VARCHAR" not in kinds:
            return (f"v{number}", number, bool(number % 2))[self._next(f"{pointer} any", 3)]
        return f"v{number}"

    def _secret(self) -> str:
        self.secrets.append(f"s3cr3t-{self.number:05d}-{len(self.secrets):05d}")
        return self.secrets[-1]


def cover(provider: Provider, endpoint: Endpoint, home: Path) -> Found:
    """Plant, land, refresh, look. An endpoint without places, or a leaf without one, is missing."""
    places = endpoint.places or Places(id="", to={})
    found = Found(provider.name, endpoint.name, places.document)
    planter = Planter(endpoint.tree, places)
    documents = planter.documents()
    found.documents = len(documents)
    redactor = Redactor(KEY)
    masked = {entity_id: redactor.redact(parse(dump(document).encode())[0], endpoint.tree) for entity_id, document in documents}
    house = House(home, None)
    lake = Lake(house.settings.lake)
    lake.land(
        provider.name,
        endpoint.name,
        [
            RawRow(entity_id, f"p-{entity_id}", NOW.date(), NOW, 200, "", dump(document), "", REDACTION_VERSION)
            for entity_id, document in masked.items()
        ],
        "covered",
    )
    house.refresh()
    plain = {entity_id: json.loads(dump(document)) for entity_id, document in masked.items()}
    store = _Store(house)
    for leaf in planter.planted:
        if leaf.pointer in found.missing:
            continue
        targets = places.of(leaf.pointer)
        value = _resolve(plain[leaf.entity_id], leaf.concrete)[0]
        why = _why_missing(store, leaf, value, targets)
        if why is not None:
            found.missing[leaf.pointer] = why
            found.placed.pop(leaf.pointer, None)
        elif leaf.masking == "mask":
            found.placed[leaf.pointer] = "secret"
        elif found.placed.get(leaf.pointer) != "secret":
            found.placed[leaf.pointer] = "typed" if any(_sql(target) != "JSON" for target in targets) else "attributes"
    for reject in house.ask("SELECT rule, json_pointer, error FROM meta.rejects"):
        found.missing[f"(reject) {reject[1]}"] = f"{reject[0]}: {reject[2]}"
    for pointer, kind in house.ask("SELECT json_pointer, kind FROM meta.drift"):
        found.missing[f"(drift) {pointer}"] = str(kind)
    found.leaked = _leaks(planter.secrets, home)
    return found


class _Store:
    """The rows of core by table and entity."""

    def __init__(self, house: House) -> None:
        self.rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        connection = duckdb.connect(str(house.home / "work" / "warehouse.duckdb"), read_only=True)
        connection.execute("SET TimeZone = 'UTC'")
        owners = {
            "result_key": "SELECT DISTINCT entity_id, result_key FROM stage.results",
            "run_key": "SELECT DISTINCT entity_id, run_key FROM stage.runs",
            "test_id": "SELECT DISTINCT entity_id, test_id FROM stage.sightings",
        }
        for name, table in CORE.items():
            key = table.owner or {"results": "result_key", "runs": "run_key", "tests": "test_id"}[name]
            cursor = connection.execute(f"SELECT o.entity_id AS entity_id_, t.* FROM core.{name} t JOIN ({owners[key]}) o USING ({key})")
            columns = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                values = dict(zip(columns, row, strict=True))
                for column in values.keys() & {name for name, declared in table.columns.items() if declared.metadata["sql"] == "JSON"}:
                    values[column] = None if values[column] is None else json.loads(values[column])
                self.rows.setdefault((name, values.pop("entity_id_")), []).append(values)
        connection.close()

    def values(self, entity_id: str, target: Target) -> Iterator[Any]:
        """What stands at a target in the rows of one entity."""
        table, column = target.column.split(".")
        for row in self.rows.get((table, entity_id), ()):
            value = row[column]
            if value is None:
                continue
            if _sql(target) == "JSON":
                yield from _resolve(value, target.pointer)
            else:
                yield value


def _why_missing(store: _Store, leaf: Planted, value: Any, targets: tuple[Target, ...]) -> str | None:
    if not targets:
        return "no place is declared"
    if leaf.masking == "mask" and not all(str(each).startswith("***") for each in (value.values() if isinstance(value, dict) else [value])):
        return "not masked"
    if leaf.masking == "scrub" and isinstance(value, str) and "s3cr3t" in value:
        return "not scrubbed"
    for target in targets:
        wanted = target.form.expect(value) if target.form is not None else value
        accepted = wanted if isinstance(wanted, frozenset) else [wanted]
        there = list(store.values(leaf.entity_id, target))
        if not any(_same(stored, each, _sql(target)) for stored in there for each in accepted):
            return (
                f"{target.column}{'#' + target.pointer if target.pointer else ''} of {leaf.entity_id}: {wanted!r} not in {str(there)[:160]}"
            )
    return None


def _same(stored: Any, wanted: Any, sql: str) -> bool:
    if wanted is None:
        return stored is None
    if sql == "TIMESTAMPTZ":
        if isinstance(wanted, str):
            return bool(stored == datetime.fromisoformat(wanted))
        return bool(abs(stored.timestamp() * 1000 - wanted) < 1e-3)
    if sql == "VARCHAR":
        return stored == (wanted if isinstance(wanted, str) else json.dumps(wanted)) or (
            isinstance(wanted, dict | list) and isinstance(stored, str) and stored[:1] in "[{" and json.loads(stored) == wanted
        )
    if isinstance(stored, str) and isinstance(wanted, dict | list):
        return bool(stored[:1] in "[{" and json.loads(stored) == wanted)
    return bool(stored == wanted and isinstance(stored, bool) == isinstance(wanted, bool))


def _sql(target: Target) -> str:
    table, column = target.column.split(".")
    return str(CORE[table].columns[column].metadata["sql"])


def _resolve(value: Any, pointer: str) -> list[Any]:
    values = [value]
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        below: list[Any] = []
        for each in values:
            if isinstance(each, str) and each[:1] in ("{", "["):  # JSON kept as text inside JSON
                each = json.loads(each)
            if isinstance(each, dict) and name in each:
                below.append(each[name])
            elif isinstance(each, list):
                below += each if name == "*" else each[int(name) : int(name) + 1] if name.isdigit() else []
        values = below
    return values


def _leaks(secrets: list[str], home: Path) -> list[str]:
    """Planted secrets that stand anywhere: in a value of the lake or of any table, or in the bytes of any file."""
    texts: list[str] = []
    for path in home.rglob("*"):
        if path.is_file():
            texts.append(path.read_bytes().decode("latin-1"))
            if path.suffix == ".parquet":
                texts += [str(column) for column in pq.read_table(path).to_pydict().values()]
    for database in home.rglob("*.duckdb"):
        connection = duckdb.connect(str(database), read_only=True)
        for schema, name in connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
            texts.append(str(connection.execute(f"SELECT * FROM {schema}.{name}").fetchall()))
        connection.close()
    written = {match for text in texts for match in _SECRET.findall(text)}
    return [secret for secret in secrets if secret in written]


def cover_all(providers: Mapping[str, Provider], only: tuple[str, ...] = ()) -> list[Found]:
    """Every endpoint of every provider, each in a home of its own."""
    found = []
    for provider in providers.values():
        for endpoint in provider.endpoints:
            if only and provider.name not in only and f"{provider.name}/{endpoint.name}" not in only:
                continue
            with tempfile.TemporaryDirectory() as folder:
                found.append(cover(provider, endpoint, Path(folder)))
    return found


PAGE = Path(__file__).resolve().parents[2] / "docs" / "coverage.md"
HEAD = """# Coverage of the documented leaves

<!-- Written by `make coverage`; tests/contract/test_every_leaf.py fails where a row is not what it counts. -->

A value is planted in every documented leaf of every payload, with every alternative, enum word and truth value in turn. The documents are
masked, landed and loaded; then each value is looked for in the place that the provider declares for it (`places.py`). *Typed*: a column of
its own. *Attributes*: a JSON column, at its own pointer. *Secret*: masked, the value itself nowhere in lake or warehouse. *Missing*: not in
its place.

| provider | payload | document | leaves | typed | attributes | secret | missing |
|---|---|---|--:|--:|--:|--:|--:|"""


def row(found: Found) -> str:
    """One payload's line of the table."""
    counts, missing = found.counts, len(found.missing)
    leaves = len(found.placed) + missing
    return (
        f"| {found.provider} | `{found.endpoint}` | {found.document} | {leaves} | {counts['typed']} | {counts['attributes']} |"
        f" {counts['secret']} | {missing} |"
    )


def page(found: list[Found]) -> str:
    """docs/coverage.md."""
    total = Counter[str]()
    for each in found:
        total.update(each.counts)
        total["missing"] += len(each.missing)
    last = f"| **all** | | | {total.total()} | {total['typed']} | {total['attributes']} | {total['secret']} | {total['missing']} |"
    return "\n".join([HEAD, *map(row, found), last]) + "\n"


def main(only: tuple[str, ...]) -> int:
    """Print the page and, below, every missing leaf with where it was looked for; write the page when all payloads were covered."""
    found = cover_all(load_providers(), only)
    lines = [page(found)]
    if not only:
        PAGE.write_text(page(found), "utf-8")
    for each in found:
        lines += [f"MISSING {each.provider}/{each.endpoint} {pointer}: {why}" for pointer, why in each.missing.items()]
        lines += [f"LEAKED {each.provider}/{each.endpoint} {secret}" for secret in each.leaked]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(any(each.missing or each.leaked for each in found))


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:])))
