"""What several files of fault tests get. Crash tests, whose homes live as long as their file, have a folder of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.crash import fast_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory: what is simulated is the order of things, not the disk's pace."""
    with fast_folder() as path:
        yield path
