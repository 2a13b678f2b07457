"""The report: what it shows, what it escapes, what it never holds."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from pipelines.report.build import build_report, duration, percent
from tests.support.warehouse import Warehouse, plausible

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
SCRIPT = "<script>alert(1)</script>"


class Tags(HTMLParser):
    """Every tag with its attributes, and the text outside of styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] != "style":
            self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    warehouse = plausible(NOW, days=9, per_day=6)
    warehouse.build()
    return build_report(warehouse.rows, NOW)


def test_every_section_is_there_with_its_chart_or_table(page: str) -> None:
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    for heading in (
        "Pass rate", "Duration", "Where the time goes", "Flakiest tests", "Slowest steps", "Why tests fail", "Recent failures",
        "Certificates", "Freshness",
    ):  # fmt: skip
        assert heading in headings
    tags = Tags(page)
    charts = [attributes["aria-label"] or "" for tag, attributes in tags.tags if tag == "svg"]
    assert len(charts) == 3
    assert all("datadog" in label for label in charts)
    assert "Browser: sign in and check out with a saved card" in tags.text
    assert "The request took longer than # ms" in tags.text


def test_the_header_says_what_was_counted() -> None:
    warehouse = Warehouse()
    for i in range(3):
        warehouse.result("passed", NOW - timedelta(hours=i + 1))
    warehouse.result("failed", NOW - timedelta(minutes=30), failure_message="down", is_final=True)
    warehouse.result("aborted", NOW - timedelta(minutes=20), provider="checkly")
    warehouse.build()
    text = " ".join(Tags(build_report(warehouse.rows, NOW)).text.split())
    assert "Executions5of 2 tests" in text
    assert "Pass rate75.0%1 failed" in text
    assert "Failing now1test by place" in text
    assert "Providers2newest result 20 min ago" in text
    assert "2026-11-22 00:00 to 2026-11-22 02:40 UTC" in text
    assert "by its final result" in text


@pytest.mark.fault("X7")
def test_the_page_loads_nothing_and_runs_nothing(page: str) -> None:
    tags = Tags(page).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "embed", "base", "image", "a"}
    for tag, attributes in tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), tag
            assert name not in ("src", "href", "xlink:href", "srcset", "action"), tag
            assert "http" not in (value or "") or name in ("http-equiv", "aria-label"), (tag, name, value)
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert not re.search(r"url\(|@import|@font-face", "".join(style))
    policy = next(attributes["content"] for tag, attributes in tags if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")


@pytest.mark.fault("X7")
def test_markup_in_names_messages_and_hosts_is_shown_and_not_obeyed() -> None:
    warehouse = Warehouse()
    for i in range(2):
        key = warehouse.result(
            "failed" if i else "passed", NOW - timedelta(hours=2 - i), provider=f"p{SCRIPT}", test_name=SCRIPT, location=SCRIPT,
            failure_code=SCRIPT, failure_message=SCRIPT, duration_ms=10.0,
        )  # fmt: skip
        warehouse.add("core.errors", result_key=key, error_index=0, step_index=-1, message=SCRIPT, fingerprint="f")
        warehouse.add("core.steps", result_key=key, step_index=0, name=SCRIPT, outcome="passed", duration_ms=5.0)
        warehouse.add("core.timings", result_key=key, step_index=-1, phase=SCRIPT, phase_raw="x", is_total=False, duration_ms=5.0)
        warehouse.add(
            "core.certificates", result_key=key, subject_cn=SCRIPT, issuer_cn='"><img src=x>', valid_to_at=NOW + timedelta(days=1)
        )
    warehouse.add("meta.syncs", sync_id="s", provider=f"p{SCRIPT}", started_at=NOW, error=SCRIPT)
    warehouse.build()
    page = build_report(warehouse.rows, NOW)
    assert "<script" not in page.lower()
    assert "<img" not in page.lower()
    assert SCRIPT in Tags(page).text


def test_an_empty_warehouse_says_that_nothing_was_synced() -> None:
    warehouse = Warehouse()
    warehouse.build()
    page = build_report(warehouse.rows, NOW)
    assert "Nothing synced yet" in page
    assert "resulthouse sync" in page
    assert "<svg" not in page


def test_a_sync_that_landed_nothing_shows_its_error_on_the_empty_page() -> None:
    warehouse = Warehouse()
    warehouse.add("meta.syncs", sync_id="s", provider="checkly", started_at=NOW, error="checkly refuses the key (401)")
    warehouse.build()
    text = Tags(build_report(warehouse.rows, NOW)).text
    assert "Nothing synced yet" in text
    assert "checkly refuses the key (401)" in text


def test_results_without_durations_steps_or_failures_still_make_a_page() -> None:
    warehouse = Warehouse()
    warehouse.result("aborted", None)
    warehouse.build()
    text = Tags(build_report(warehouse.rows, NOW)).text
    assert "No execution has passed or failed yet." in text
    assert "No execution tells its duration." in text
    assert "No execution has failed." in text


def test_certificates_count_their_days_from_the_given_now() -> None:
    warehouse = Warehouse()
    for i, left in enumerate((-1.0, 3.5, 59.0, 61.0)):
        key = warehouse.result("passed", NOW - timedelta(hours=1), test_id=f"t{i}")
        warehouse.add("core.certificates", result_key=key, subject_cn=f"host{i}", valid_to_at=NOW + timedelta(days=left))
    warehouse.build()
    page = build_report(warehouse.rows, NOW)
    section = Tags(page[page.index("<h2>Certificates") :]).text
    assert "expired" in section
    assert [host for host in ("host0", "host1", "host2", "host3") if host in section] == ["host0", "host1", "host2"]
    assert '<span class="tag bad">3</span>' in page


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (None, "\N{EN DASH}"), (0.0, "0 ms"), (1.25, "1.2 ms"), (180.4, "180 ms"), (999.9, "1.0 s"), (9300.0, "9.3 s"), (59_990.0, "1 min"),
        (125_000.0, "2 min 5 s"), (12_000_000.0, "3 h 20 min"), (180_000_000.0, "2 d 2 h"),
    ],
)  # fmt: skip
def test_durations_are_readable(ms: float | None, shown: str) -> None:
    assert duration(ms) == shown


@pytest.mark.parametrize(("share", "shown"), [(None, "\N{EN DASH}"), (1.0, "100.0%"), (0.99999, "99.9%"), (0.57, "57.0%"), (0.0, "0.0%")])
def test_only_what_is_whole_says_a_hundred_percent(share: float | None, shown: str) -> None:
    assert percent(share) == shown
