"""Many lives of a house, each from a seed: whatever happened in them, they end as one that nothing happened to (`simulation`).

The providers that list their results; those whose runs are tracked are in `test_simulation_tracked`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.simulation import NAMES
from tests.faults.simulation_street import SEEDS, lived

LONG = [range(start, start + 200) for start in range(1_000, 6_000, 200)]


@pytest.mark.fault("H1", "H2", "H6", "H7", "H11", "H14", "H19", "P9", "P12", "P13", "P15")
@pytest.mark.parametrize("name", ["datadog", "checkly"])
def test_whatever_happens_a_house_ends_as_one_that_nothing_happened_to(
    name: str, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    happened = lived(SEEDS[name], folder, record_property)
    assert happened["faults"] > 3 * happened["seeds"]
    assert happened["kills"] > happened["seeds"] / 5
    assert happened["deleted"] > happened["seeds"]


@pytest.mark.slow
@pytest.mark.parametrize("seeds", LONG, ids=lambda seeds: f"{seeds[0]}")
def test_thousands_of_lives_end_well(seeds: range, folder: Path, record_property: Callable[[str, object], None]) -> None:
    for at in range(len(NAMES)):
        lived(seeds[at :: len(NAMES)], folder / str(at), record_property)
