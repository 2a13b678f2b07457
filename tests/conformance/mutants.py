"""All mutants of a provider's fixtures in one warehouse: each a payload of its own entity, loaded together, then asked about one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipelines.schemas import CORE, SIGHTINGS
from tests.conformance.bench import Bench, Version
from tests.conformance.fixtures import Fixture, Fixtures
from tests.conformance.mutate import Mutation, apply, hides, mutations, plant
from tests.conformance.pointers import Path

FIRST_TAG = 1_000_001

Counts = dict[str, int]
"""`table.column` -> rows in which it is not NULL; `table` -> rows."""


@dataclass(frozen=True)
class Mutant:
    """A copy of a fixture with these mutations (none: the fixture itself), as it lands."""

    fixture: Fixture
    mutations: tuple[Mutation, ...]
    version: Version
    is_planted: bool

    def __str__(self) -> str:
        return f"{self.fixture.name}: {', '.join(map(str, self.mutations)) or 'as it is'}"


def every_mutant(fixtures: Iterable[Fixture]) -> Iterator[Mutant]:
    """Each fixture as it is, and each with one mutation. Entities are tagged apart, so that no two share a row."""
    tag = FIRST_TAG
    for fixture in fixtures:
        for mutation in (None, *mutations(fixture.document, fixture.endpoint.tree)):
            yield make(fixture, (mutation,) if mutation else (), tag)
            tag += 1


def make(fixture: Fixture, changes: Sequence[Mutation], tag: int) -> Mutant:
    """The copy with that tag, secrets planted in its masked leaves, and the mutations one after the other."""
    entity_id, parent_id, document = fixture.copy(tag)
    planted: list[Path] = []
    hidden, planted = plant(document, fixture.endpoint.tree)
    is_planted = not any(hides(mutation, planted) for mutation in changes)
    if is_planted:
        document = hidden
    repairs: set[str] = set()
    for mutation in changes:
        document, repaired = apply(document, mutation)
        repairs.update(repaired)
    version = Version(fixture.endpoint, entity_id, parent_id, document, tuple(sorted(repairs)))
    return Mutant(fixture, tuple(changes), version, is_planted)


class Mutants:
    """A bench with mutants in it, and what its tables say of each. `endpoint` and entity id together name a mutant."""

    def __init__(self, fixtures: Fixtures, mutants: Iterable[Mutant]) -> None:
        self.fixtures = fixtures
        self.mutants = list(mutants)
        self.bench = Bench(fixtures.provider)
        try:
            self.bench.land(mutant.version for mutant in self.mutants)
            self.bench.load()
        except Exception as error:
            self.bench.close()
            culprit = _culprit(fixtures, self.mutants)
            raise AssertionError(f"{fixtures.provider.name} {culprit}: {type(error).__name__}: {str(error).splitlines()[0]}") from error

    def close(self) -> None:
        """Drop the bench."""
        self.bench.close()

    def of(self, endpoint: str) -> list[Mutant]:
        """Those of one endpoint, the fixtures as they are included."""
        return [mutant for mutant in self.mutants if mutant.fixture.endpoint.name == endpoint]

    def base(self, mutant: Mutant) -> Mutant:
        """The fixture as it is that a mutant was made of."""
        return self._bases[mutant.fixture.name]

    @cached_property
    def _bases(self) -> dict[str, Mutant]:
        return {mutant.fixture.name: mutant for mutant in self.mutants if not mutant.mutations}

    @cached_property
    def states(self) -> dict[tuple[str, str], str]:
        """loaded, superseded or rejected."""
        return {(endpoint, id_): state for endpoint, id_, state in self.bench.ask("SELECT endpoint, entity_id, state FROM meta.versions")}

    @cached_property
    def rejects(self) -> dict[tuple[str, str], set[str]]:
        """The rules that a payload or its rows broke."""
        return _sets(self.bench.ask("SELECT endpoint, entity_id, rule || ' ' || json_pointer FROM meta.rejects"))

    @cached_property
    def _drift(self) -> dict[tuple[str, str], set[tuple[str, str]]]:
        return _sets(
            (endpoint, id_, (a, b))
            for endpoint, id_, a, b in self.bench.ask("SELECT endpoint, entity_id, json_pointer, kind FROM stage.drift")
        )

    def all_drift(self, mutant: Mutant) -> set[tuple[str, str]]:
        """Pointer and kind of what is undocumented in the mutant."""
        return self._drift.get(name_of(mutant), set())

    def drift(self, mutant: Mutant) -> set[tuple[str, str]]:
        """Pointer and kind of what is undocumented in the mutant and was not in its fixture."""
        return self.all_drift(mutant) - self.all_drift(self.base(mutant))

    def is_excused(self, mutant: Mutant) -> bool:
        """Whether drift or a reject says that something is wrong with it."""
        return bool(self.drift(mutant)) or name_of(mutant) in self.rejects

    @cached_property
    def counts(self) -> dict[tuple[str, str], Counts]:
        """Rows and values that are not NULL, by table and column, of what came from each payload."""
        found: dict[tuple[str, str], Counts] = {}
        for table, source in _sources():
            columns = [name for name, _ in self.bench.columns(source.split()[1])]
            counted = ", ".join(f'count(c."{name}")' for name in columns)
            for endpoint, id_, rows, *values in self.bench.ask(f"SELECT endpoint_, entity_id_, count(*), {counted} {source} GROUP BY 1, 2"):
                counts = found.setdefault((endpoint, id_), {})
                counts[table] = rows
                counts.update({f"{table}.{name}": value for name, value in zip(columns, values, strict=True)})
        return found

    def lost(self, mutant: Mutant) -> list[str]:
        """Tables and columns that hold less of the mutant than of its fixture."""
        now, before = self.counts.get(name_of(mutant), {}), self.counts.get(name_of(self.base(mutant)), {})
        return [name for name, count in before.items() if now.get(name, 0) < count]

    def texts(self, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Every value that came from these payloads, as one text each."""
        values: dict[tuple[str, str], list[str]] = {}
        ids = sorted({entity_id for _, entity_id in names})
        for _, source in _sources() if ids else ():
            rows = self.bench.ask(f"SELECT endpoint_, entity_id_, c.* {source} WHERE list_contains(?, entity_id_)", [ids])
            for endpoint, id_, *row in rows:
                values.setdefault((endpoint, id_), []).extend(str(value) for value in row if value is not None)
        return {name: "\n".join(each) for name, each in values.items()}


def name_of(mutant: Mutant) -> tuple[str, str]:
    """Endpoint and entity id."""
    return mutant.fixture.endpoint.name, mutant.version.entity_id


def _sources() -> Iterator[tuple[str, str]]:
    """Each table with the FROM that says which payload its rows came from."""
    for name, table in CORE.items():
        if name == "tests":
            continue
        owner = table.owner or ("run_key" if name == "runs" else "result_key")
        stage = "stage.runs" if owner == "run_key" else "stage.results"
        told = f"(SELECT DISTINCT {owner}, endpoint AS endpoint_, entity_id AS entity_id_ FROM {stage})"
        yield name, f"FROM core.{name} c JOIN {told} s USING ({owner})"
    yield "sightings", f"FROM {SIGHTINGS.full_name} c, LATERAL (SELECT c.endpoint AS endpoint_, c.entity_id AS entity_id_)"


def _sets(rows: Iterable[tuple[str, str, object]]) -> dict[tuple[str, str], set]:
    found: dict[tuple[str, str], set] = {}
    for endpoint, entity_id, value in rows:
        found.setdefault((endpoint, entity_id), set()).add(value)
    return found


def _culprit(fixtures: Fixtures, mutants: Sequence[Mutant]) -> str:
    """Which mutant the load cannot bear: halves are tried until one payload is left."""
    while len(mutants) > 1:
        half = mutants[: len(mutants) // 2]
        mutants = half if _breaks(fixtures, half) else mutants[len(mutants) // 2 :]
    return str(mutants[0]) if _breaks(fixtures, mutants) else "some payloads together"


def _breaks(fixtures: Fixtures, mutants: Sequence[Mutant]) -> bool:
    with Bench(fixtures.provider) as bench:
        try:
            bench.land(mutant.version for mutant in mutants)
            bench.load()
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            return True
    return False
