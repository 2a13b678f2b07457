"""Many simulated lives (`simulation.live`), one after the other, and their lakes side by side in one warehouse: a load costs more than a
life."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

from pipelines.lake.files import make_folder
from tests.faults.simulation import NAMES, Life, killed, live
from tests.support.checker import violations
from tests.support.house import House

ONCE_BROKEN = (2597, 4816)
"""Seeds of long runs that have found something: lived again in every run."""

SEEDS = {name: [*range(at, 200, len(NAMES)), *(seed for seed in ONCE_BROKEN if seed % len(NAMES) == at)] for at, name in enumerate(NAMES)}


def lived(seeds: Sequence[int], folder: Path, record: Callable[[str, object], None]) -> Counter[str]:
    """Let all of them live; nothing may be broken, and their warehouse is that of the undisturbed ones. Returns what happened."""
    street = Street(NAMES[seeds[0] % len(NAMES)], folder / "street", seeds[0])
    happened: Counter[str] = Counter(seeds=len(seeds))
    for number, seed in enumerate(seeds, 1):
        life = live(seed, folder / str(seed))
        assert life.broken == [], f"seed {seed} of {life.name}:\n" + "\n".join([*life.broken, *life.said])
        deleted = life.net.faults.pop("deleted", 0)
        happened += Counter(syncs=life.syncs, faults=life.net.faults.total(), kills=life.kills.total(), deleted=deleted)
        street.move_in(life)
        shutil.rmtree(life.folder)
        if number == len(seeds) // 2:
            assert street.refresh() == [], f"seeds {seeds[0]} to {seed}: {street.kills}"
    happened["kills"] += street.kills.total()
    assert street.differences() == [], f"seeds {seeds}"
    record("cases", len(seeds))
    record("happened", dict(happened))
    return happened


class Street:
    """The lakes of many lives side by side in one lake, disturbed and undisturbed, each with its warehouse.

    Ids are of one world each, but Datadog's tests: every world has the same, so their definitions are compared in the lives only.
    """

    def __init__(self, name: str, folder: Path, seed: int) -> None:
        self.name, self.rng = name, Random(f"street {seed}")
        self.house, self.truth = House(folder / "disturbed", None), House(folder / "undisturbed", None)
        self.kills: Counter[str] = Counter()
        self.said: dict[str, object] = {}

    def move_in(self, life: Life) -> None:
        """Take what a life has left, unless its lakes differ by what was deleted."""
        if life.net.lost:
            return
        self.said |= life.net.said
        for source, target in ((life.house, self.house), (life.truth, self.truth)):
            raw = Path(source.settings.lake) / "raw"
            for path in raw.rglob("*.parquet"):
                place = Path(target.settings.lake) / "raw" / path.relative_to(raw)
                make_folder(place.parent)
                path.replace(place)

    def refresh(self) -> list[str]:
        """Load what has come, with a kill on the way. Returns what is broken then."""
        moment = killed(self.house, self.house.refresh, self.rng.randint(0, 350))
        if moment is not None:
            self.kills[moment] += 1
        return violations(Path(self.house.settings.lake), self.house.settings.warehouse)

    def differences(self) -> list[str]:
        """What differs in core, marts and drift of both, by column; columns that say when something was fetched or seen are left out. And
        what contradicts the provider."""
        self.house.refresh()
        self.truth.refresh()
        found = _differences(self.house, self.truth)
        differences = [f"{table}.{column}" for table, column in found if (table, self.name) != ("core.tests", "datadog")]
        return differences + self.contradictions(self.house) + self.contradictions(self.truth)

    def contradictions(self, house: House) -> list[str]:
        """Results of which the tables do not say what the provider has said last."""
        told = dict(house.ask("SELECT result_id, outcome FROM core.results WHERE is_final OR NOT is_terminal"))
        return [f"{key} is {told[key]}, the provider said {said}" for key, said in self.said.items() if told.get(key, said) != said]


_WHEN = {"fetched_at", "valid_from_at", "valid_to_at", "test_valid_from_at", "first_seen_at", "last_seen_at"}


def _differences(house: House, truth: House) -> Iterator[tuple[str, str]]:
    """Places that differ. `core.tests` is compared by its current versions: who comes later has seen fewer of the others."""
    names = truth.ask(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name IN ('core', 'marts') OR table_name = 'drift' ORDER BY ALL"
    )
    for schema, name in names:
        table = f"{schema}.{name}"
        columns = [str(row[0]) for row in truth.ask(f"DESCRIBE {table}") if row[0] not in _WHEN]
        listed, where = ", ".join(f'"{column}"' for column in columns), "WHERE is_current" if name == "tests" else ""
        ours, theirs = (sorted(each.ask(f"SELECT {listed} FROM {table} {where}"), key=repr) for each in (house, truth))
        if len(ours) != len(theirs):
            yield table, f"{len(ours)} rows, undisturbed {len(theirs)}"
        elif ours != theirs:
            for column, one, other in zip(columns, zip(*ours, strict=True), zip(*theirs, strict=True), strict=True):
                if one != other:
                    yield table, column
