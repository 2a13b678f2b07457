"""What every test gets: an environment without this machine's settings. Fixtures of one room live with its tests.

Also the record that `tests.faults.matrix` reads: which rows of the fault matrix a test proves, and with how many cases.
"""

import json
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

OWN_PREFIXES = ("DD_", "DATADOG_", "CHECKLY_", "APPLITOOLS_", "DOCKETQA_", "RESULTHOUSE_", "DAGSTER_")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, URL or home of whoever runs the tests reaches a test."""
    for name in list(os.environ):
        if name.startswith(OWN_PREFIXES):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _every_promise_is_kept() -> Iterator[None]:
    """The data folders that a test has built or used keep every invariant when it is over (`tests.support.checker`)."""
    yield
    house = sys.modules.get("tests.support.house")
    if house is not None and house.HOUSES:
        from tests.support.checker import violations

        built = [each for each in house.HOUSES if not each.is_damaged]
        house.HOUSES.clear()
        for each in built:
            settings = each.settings
            assert violations(Path(settings.lake), settings.warehouse) == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Append a line to the file named by FAULT_REPORT for every test marked with rows of the fault matrix."""
    report = yield
    path = os.environ.get("FAULT_REPORT")
    rows = [row for mark in item.iter_markers("fault") for row in mark.args]
    if path and rows and (report.when == "call" or (report.when == "setup" and not report.passed)):
        cases = dict(item.user_properties).get("cases", 1)
        with Path(path).open("a") as file:
            file.write(json.dumps({"test": item.nodeid, "rows": rows, "outcome": report.outcome, "cases": cases}) + "\n")
    return report
