"""Many lives of a house, each from a seed: whatever happened in them, they end as one that nothing happened to (`simulation`)."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.faults.crash import fast_folder
from tests.faults.simulation import NAMES, Street, live

ONCE_BROKEN: tuple[int, ...] = ()
"""Seeds of long runs that have found something (none has so far): lived again in every run."""

SEEDS = {name: [*range(at, 40, len(NAMES)), *(seed for seed in ONCE_BROKEN if seed % len(NAMES) == at)] for at, name in enumerate(NAMES)}
LONG = [range(start, start + 200) for start in range(1_000, 6_000, 200)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory: what is simulated is the order of things, not the disk's pace."""
    path = fast_folder()
    yield path
    shutil.rmtree(path)


def _lived(seeds: Sequence[int], folder: Path, record: Callable[[str, object], None]) -> Counter[str]:
    """Let all of them live; nothing may be broken, and their warehouse is that of the undisturbed ones. Returns what happened."""
    street = Street(NAMES[seeds[0] % len(NAMES)], folder / "street", seeds[0])
    happened: Counter[str] = Counter(seeds=len(seeds))
    for number, seed in enumerate(seeds, 1):
        life = live(seed, folder / str(seed))
        assert life.broken == [], f"seed {seed} of {life.name}:\n" + "\n".join(life.said)
        happened += Counter(syncs=life.syncs, faults=life.net.faults.total(), kills=life.kills.total())
        street.move_in(life)
        shutil.rmtree(life.folder)
        if number == len(seeds) // 2:
            assert street.refresh() == [], f"seeds {seeds[0]} to {seed}: {street.kills}"
    happened["kills"] += street.kills.total()
    assert street.differences() == [], f"seeds {seeds}"
    record("cases", len(seeds))
    record("happened", dict(happened))
    return happened


@pytest.mark.fault("H1", "H2", "H6", "H7", "H11", "H14", "H19", "P9", "P12", "P13", "P15")
@pytest.mark.parametrize("name", NAMES)
def test_whatever_happens_a_house_ends_as_one_that_nothing_happened_to(
    name: str, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    happened = _lived(SEEDS[name], folder, record_property)
    assert happened["faults"] > 3 * happened["seeds"]
    assert happened["kills"] > happened["seeds"] / 5


@pytest.mark.slow
@pytest.mark.parametrize("seeds", LONG, ids=lambda seeds: f"{seeds[0]}")
def test_thousands_of_lives_end_well(seeds: range, folder: Path, record_property: Callable[[str, object], None]) -> None:
    for at in range(len(NAMES)):
        _lived(seeds[at :: len(NAMES)], folder / str(at), record_property)
