"""Many lives of a house whose runs are tracked, and whether the simulation would find what it is there for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.flows import pull
from pipelines.lake import history
from pipelines.lake.store import Lake, RawRow
from pipelines.warehouse.load import Loader, Source
from tests.faults.simulation import Life, killed, live
from tests.faults.simulation_street import SEEDS, Street, lived


@pytest.mark.fault("H1", "H2", "H6", "H7", "H11", "H14", "H19", "P9", "P12", "P13", "P15")
@pytest.mark.parametrize("name", ["applitools", "docketqa"])
def test_whatever_happens_a_house_of_tracked_runs_ends_as_one_that_nothing_happened_to(
    name: str, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    happened = lived(SEEDS[name], folder, record_property)
    assert happened["faults"] > 3 * happened["seeds"]
    assert happened["kills"] > happened["seeds"] / 5
    assert happened["deleted"] > happened["seeds"] / 2  # few runs are tracked in a life: 48 were deleted in the 50 of docketqa


# --- sabotage ----------------------------------------------------------------------------------------------------------------


def _windows_before_rows(patch: pytest.MonkeyPatch) -> None:
    flush = pull._Landing.flush

    def wrong(self: pull._Landing) -> None:
        rows, self._rows = self._rows, {}
        flush(self)
        self._rows = rows
        flush(self)

    patch.setattr(pull._Landing, "flush", wrong)


def _nothing_is_due(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(history.LakeHistory, "due", lambda self, endpoint: [])


def _running_is_ended(patch: pytest.MonkeyPatch) -> None:
    land = Lake.land

    def wrong(self: Lake, provider: str, endpoint: str, rows: Sequence[RawRow], sync_id: str) -> list[str]:
        return land(self, provider, endpoint, [dataclasses.replace(row, state="final") for row in rows], sync_id)

    patch.setattr(Lake, "land", wrong)


def _last_refused_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    refuse = Lake.refuse
    patch.setattr(Lake, "refuse", lambda self, provider, refused, sync_id: refuse(self, provider, refused[:-1], sync_id))


def _first_version_is_the_last(patch: pytest.MonkeyPatch) -> None:
    last_sha, first = history.LakeHistory.last_sha, dict[tuple[str, str], str]()

    def wrong(self: history.LakeHistory, *place: str) -> str | None:
        sha = last_sha(self, *place)
        return sha and first.setdefault(place, sha)

    patch.setattr(history.LakeHistory, "last_sha", wrong)


def _oldest_version_stands(patch: pytest.MonkeyPatch) -> None:
    run = Loader._run

    def wrong(self: Loader, sql: str, source: Source, rows_in: pl.DataFrame | None = None, **more: object) -> None:
        newer, older = (f"{a}.fetched_at, i.payload_sha256) > (c.finality, {b}.fetched_at" for a, b in ("ic", "ci"))
        run(self, sql.replace(newer, older), source, rows_in, **more)

    patch.setattr(Loader, "_run", wrong)


SABOTAGES = [
    (_windows_before_rows, 2),
    (_nothing_is_due, 3),
    (_running_is_ended, 1),
    (_last_refused_is_forgotten, 0),
    (_first_version_is_the_last, 5),
]


@pytest.mark.fault("S1", "S11", "P12")
@pytest.mark.parametrize(("sabotage", "seed"), SABOTAGES)
def test_what_is_broken_on_purpose_is_found(
    sabotage: Callable[[pytest.MonkeyPatch], None], seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """The same lives keep their promises when nothing is broken. An order is found by kills after so many files in place."""
    sabotage(monkeypatch)
    found = 0
    for files in (2, 3) if sabotage is _windows_before_rows else (0,):
        if files:
            monkeypatch.setattr(Life, "_pull", lambda self, files=files: killed(self.house, self._pulled, files, "place"))
        found += bool(live(seed, folder / str(files)).broken)
    assert found
    record_property("cases", found)


@pytest.mark.fault("P12", "D15")
def test_tables_that_say_what_the_provider_has_said_first_are_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    _oldest_version_stands(monkeypatch)
    life = live(5, folder / "life")
    assert life.broken == []
    street = Street(life.name, folder / "street", 5)
    street.move_in(life)
    street.house.refresh()
    street.house.is_damaged = True
    contradictions = street.contradictions(street.house)
    assert [each for each in contradictions if each.endswith("is failed, the provider said passed")]
    record_property("cases", len(contradictions))
