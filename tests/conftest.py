"""What every test gets: an environment without this machine's settings. Fixtures of one room live with its tests."""

import os

import pytest

OWN_PREFIXES = ("DD_", "DATADOG_", "CHECKLY_", "APPLITOOLS_", "DOCKETQA_", "RESULTHOUSE_", "DAGSTER_")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, URL or home of whoever runs the tests reaches a test."""
    for name in list(os.environ):
        if name.startswith(OWN_PREFIXES):
            monkeypatch.delenv(name)
