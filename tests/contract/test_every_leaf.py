"""Every documented leaf of every provider stands in its declared place in the warehouse; every masked one nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.providers import load_providers
from pipelines.schemas import CORE
from pipelines.schemas.leaves import Leaf, OneOf, Tree
from pipelines.schemas.places import Target
from pipelines.transform.drift import escape
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


@pytest.mark.parametrize(("provider", "endpoint"), ENDPOINTS, ids=[f"{provider}/{endpoint}" for provider, endpoint in ENDPOINTS])
def test_what_stands_in_a_column_of_times_or_durations_says_how_it_is_read(provider: str, endpoint: str) -> None:
    declared = load_providers()[provider].endpoint(endpoint)
    assert declared.places is not None
    silent = [
        pointer
        for pointer, leaf in _leaves(declared.tree, "")
        for target in declared.places.of(pointer)
        if leaf.read is None and _is_time_or_duration(target)
    ]
    assert silent == [], "a value that the flatten cannot read would be NULL without drift: pipelines/transform/leaves.py has their leaves"


def _is_time_or_duration(target: Target) -> bool:
    table, column = target.column.split(".")
    declared = CORE[table].columns[column].metadata
    return declared["sql"] == "TIMESTAMPTZ" or declared["unit"] == "ms"


def _leaves(tree: Tree, pointer: str) -> Iterator[tuple[str, Leaf]]:
    if isinstance(tree, Leaf):
        yield pointer, tree
    elif isinstance(tree, dict):
        for name, child in tree.items():
            yield from _leaves(child, f"{pointer}/{escape(name)}")
    elif isinstance(tree, list):
        yield from _leaves(tree[0], f"{pointer}/*")
    elif isinstance(tree, OneOf):
        for branch in (tree.scalar, tree.object, None if tree.list is None else [tree.list]):
            if branch is not None:
                yield from _leaves(branch, pointer)
