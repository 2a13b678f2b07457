"""Many lives of a house whose runs are tracked, and whether the simulation would find what it is there for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.flows import pull
from pipelines.lake import history
from tests.faults.simulation import Life, killed, live
from tests.faults.simulation_street import SEEDS, lived


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
    landed = history._landed

    def wrong(*given: Any) -> history._Landed:
        found = landed(*given)
        found.known = {key: dataclasses.replace(known, state="final") for key, known in found.known.items()}
        return found

    patch.setattr(history, "_landed", wrong)


@pytest.mark.fault("S1", "S11", "P12")
@pytest.mark.parametrize(("sabotage", "seed"), [(_windows_before_rows, 2), (_nothing_is_due, 3), (_running_is_ended, 1)])
def test_what_is_broken_on_purpose_is_found(
    sabotage: Callable[[pytest.MonkeyPatch], None], seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """The same lives keep their promises when nothing is broken. An order is found by kills after so many files in place."""
    sabotage(monkeypatch)
    found = 0
    for files in (2, 3):
        if sabotage is _windows_before_rows:
            monkeypatch.setattr(Life, "_pull", lambda self, files=files: killed(self.house, self._pulled, files, "place"))
        found += bool(live(seed, folder / str(files)).broken)
    assert found
    record_property("cases", found)
