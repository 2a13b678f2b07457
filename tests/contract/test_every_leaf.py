"""Every documented leaf of every provider stands in its declared place in the warehouse; every masked one nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.providers import load_providers
from tests.support.coverage import PAGE, cover, row

ENDPOINTS = [(provider.name, endpoint.name) for provider in load_providers().values() for endpoint in provider.endpoints]


@pytest.mark.parametrize(("provider", "endpoint"), ENDPOINTS, ids=[f"{provider}/{endpoint}" for provider, endpoint in ENDPOINTS])
def test_every_documented_leaf_has_its_place(provider: str, endpoint: str, tmp_path: Path) -> None:
    owner = load_providers()[provider]
    found = cover(owner, owner.endpoint(endpoint), tmp_path)
    assert found.missing == {}
    assert found.leaked == []
    assert found.placed
    assert row(found) in PAGE.read_text("utf-8").splitlines(), "docs/coverage.md is stale: `make coverage` writes it"
