"""The `marts` declared: what BI tools and the report read. Each is one SELECT in `pipelines/warehouse/marts/<name>.sql`.

The first line of a docstring is the table's comment and says the grain. All marts count final results only, unless a column says
otherwise. "Counted" executions are those whose outcome is passed, degraded or failed: what a pass rate is a share of.
"""

from __future__ import annotations

import dataframely as dy

from pipelines.schemas import Table
from pipelines.schemas.columns import count, day, flag, instant, key, ms, number, text

_PROVIDER = "Provider name"
_TEST_ID = "The provider's id of the test"
_TEST_NAME = "Newest name of the test, so that a rename does not split it"
_LOCATION = "Where the test ran"
_DAY = "Day of started_at in UTC"
_EXECUTIONS = "Executions: final results of any outcome"
_PASSED = "Final results that passed, degraded ones included"
_DEGRADED = "Those of passed_count that were over their degraded threshold"
_FAILED = "Final results that failed"
_RATE = "passed_count / (passed_count + failed_count), 0..1; NULL when nothing was counted"
_OUTCOME = "State in the common vocabulary"


class Executions(dy.Schema):
    """One row per execution: its final result with test and run names. The table to count from."""

    result_key = key("The final result: key of core.results")
    provider = text(_PROVIDER, required=True)
    result_id = text("The provider's id of the result", required=True)
    attempt = count("1 except where one payload holds several tries", required=True)
    execution_id = text("Groups the tries of one execution", required=True)
    try_number = count("Place of the final try among the tries, from 1")
    try_count = count("Tries of the execution", required=True)
    run_key = key("The run: key of core.runs", nullable=True)
    run_id = text("The provider's id of the run")
    run_name = text("Name of the run")
    application = text("Application or project under test")
    environment = text("Environment under test as the provider names it")
    branch = text("Branch under test")
    commit_sha = text("Commit under test")
    test_id = text(_TEST_ID, required=True)
    test_name = text(_TEST_NAME)
    test_type = text("Kind of test as the provider names it, lower case")
    location = text(_LOCATION)
    device = text("Device name")
    browser = text("Browser name")
    os = text("Operating system")
    status = text("The provider's own word for the state")
    outcome = text(_OUTCOME, required=True)
    is_passed = flag("True for passed and degraded, false for failed, NULL for what no pass rate counts")
    has_detail = flag("True when the full result was fetched, false when only its list row is known")
    started_at = instant("Start of the final try")
    ended_at = instant("End of the final try")
    utc_date = day(_DAY)
    duration_ms = ms("Duration of the final try")
    response_time_ms = ms("Response time of the tested system")
    http_status_code = count("HTTP status code of the tested system")
    failure_code = text("The provider's failure code, else the first error's")
    failure_reason = text(
        "The provider's failure message, else (or when that is JSON) the first error's, else the first failed assertion, scrubbed"
    )
    fingerprint = text("Fingerprint of the first error: joins to marts.failure_reasons")
    trace_id = text("Id of the trace that belongs to the try")
    url = text("Link to the result in the provider's product")


class DailyReliability(dy.Schema):
    """One row per provider, test, location and day: outcomes, pass rate and percentiles."""

    provider = text(_PROVIDER, required=True)
    test_id = text(_TEST_ID, required=True)
    test_name = text(_TEST_NAME)
    location = text(_LOCATION)
    utc_date = day(_DAY)
    executions = count(_EXECUTIONS, required=True)
    passed_count = count(_PASSED, required=True)
    degraded_count = count(_DEGRADED, required=True)
    failed_count = count(_FAILED, required=True)
    aborted_count = count("Final results that were aborted", required=True)
    cancelled_count = count("Final results that were cancelled", required=True)
    unresolved_count = count("Final results that wait for a review", required=True)
    unknown_count = count("Final results of which no outcome is known", required=True)
    retried_count = count("Executions that took more than one try", required=True)
    pass_rate = number(_RATE, unit="share")
    p50_duration_ms = ms("Median duration")
    p95_duration_ms = ms("95th percentile of the duration, interpolated")
    p99_duration_ms = ms("99th percentile of the duration, interpolated")
    p50_response_time_ms = ms("Median response time")
    p95_response_time_ms = ms("95th percentile of the response time, interpolated")
    p99_response_time_ms = ms("99th percentile of the response time, interpolated")


class FlakyTests(dy.Schema):
    """One row per provider and test: how often its outcome wavers without a change that lasts."""

    provider = text(_PROVIDER, required=True)
    test_id = text(_TEST_ID, required=True)
    test_name = text(_TEST_NAME)
    executions = count(_EXECUTIONS, required=True)
    passed_count = count(_PASSED, required=True)
    failed_count = count(_FAILED, required=True)
    pass_rate = number(_RATE, unit="share")
    flips = count(
        "Counted executions that passed where the one before failed, or failed where it passed: same location and device",
        required=True,
    )
    passes_on_retry = count("Executions that passed only with a try after the first", required=True)
    score = number(
        "Share of counted executions that flipped or passed on a retry (one that did both counts once): 0 steady, 1 never twice"
        " the same; NULL when nothing was counted",
        unit="share",
    )
    first_seen_at = instant("First flip or pass on a retry; NULL when there was none")
    last_seen_at = instant("Last flip or pass on a retry; NULL when there was none")


class TimingBreakdown(dy.Schema):
    """One row per provider, test, location, day and phase: where the time goes. Phases that sum others are left out."""

    provider = text(_PROVIDER, required=True)
    test_id = text(_TEST_ID, required=True)
    test_name = text(_TEST_NAME)
    location = text(_LOCATION)
    utc_date = day(_DAY)
    phase = text("dns, tcp, tls, wait, first_byte, download, …", required=True)
    executions = count("Executions that tell the phase; its time is the whole result's, else the sum over the steps", required=True)
    p50_duration_ms = ms("Median duration of the phase")
    p95_duration_ms = ms("95th percentile of the phase's duration, interpolated")
    p99_duration_ms = ms("99th percentile of the phase's duration, interpolated")
    sum_duration_ms = ms("Sum over the executions: what shares over several rows are made from")
    share_of_total = number("sum_duration_ms over that of all phases of the same test, location and day, 0..1", unit="share")


class SlowSteps(dy.Schema):
    """One row per provider, test and step name: how long the step takes and whether it is getting slower."""

    provider = text(_PROVIDER, required=True)
    test_id = text(_TEST_ID, required=True)
    test_name = text(_TEST_NAME)
    step_name = text("Name of the step, else its kind")
    executions = count("Executions in which the step ran", required=True)
    step_count = count("Times that the step ran: more than executions where a test repeats it", required=True)
    failed_count = count("Times that the step failed", required=True)
    p50_duration_ms = ms("Median duration")
    p95_duration_ms = ms("95th percentile of the duration, interpolated")
    p99_duration_ms = ms("99th percentile of the duration, interpolated")
    worst_duration_ms = ms("Longest duration")
    worst_result_key = key("The result with the longest one: key of core.results", nullable=True)
    last_week_p50_duration_ms = ms("Median over the seven days up to the test's newest day with steps")
    week_before_p50_duration_ms = ms("Median over the seven days before those")
    trend = number(
        "last_week_p50_duration_ms / week_before_p50_duration_ms - 1: 0.1 is a tenth slower than the week before; NULL without both",
        unit="share",
    )


class AssertionFailures(dy.Schema):
    """One row per provider, test, source, property and operator: which assertions fail, how often, and on what value."""

    provider = text(_PROVIDER, required=True)
    test_id = text(_TEST_ID, required=True)
    test_name = text(_TEST_NAME)
    source = text("What is asserted on: statusCode, STATUS_CODE, agentic, …")
    property = text("Header name, JSONPath, XPath, condition, …")
    operator = text("Comparison")
    evaluated = count("Times that the assertion passed or failed in final results", required=True)
    failed_count = count("Times that it failed", required=True)
    failure_rate = number("failed_count / evaluated, 0..1; NULL when it was never evaluated", unit="share")
    last_target = text("Expected value of the newest failure")
    last_actual = text("Found value of the newest failure")
    last_failed_at = instant("Start of the result with the newest failure")


class FailureReasons(dy.Schema):
    """One row per error fingerprint: what goes wrong most. Every try counts that did not pass, retried ones too."""

    fingerprint = text("Fingerprint of core.errors; the error's code or name where it has no message", required=True)
    pattern = text("One such message with ids and numbers as # and quoted parts as ?, first 300 characters")
    occurrences = count("Results (tries) with such an error that did not pass", required=True)
    executions = count("Executions whose final result is one of them", required=True)
    tests_hit = count("Tests hit", required=True)
    providers_hit = count("Providers hit", required=True)
    first_seen_at = instant("Start of the first such result")
    last_seen_at = instant("Start of the last such result")
    example_result_key = key("The newest such result: key of core.results", nullable=True)


class Incidents(dy.Schema):
    """One row per provider, test, location and failure streak: consecutive executions that failed, on one device."""

    provider = text(_PROVIDER, required=True)
    test_id = text(_TEST_ID, required=True)
    test_name = text(_TEST_NAME)
    location = text(_LOCATION)
    device = text("Device name: devices fail apart from each other")
    started_at = instant("Start of the first execution that failed", required=True)
    ended_at = instant("Start of the first execution that passed again; NULL while the incident is open")
    is_open = flag("True while no execution has passed since", required=True)
    duration_ms = ms("ended_at - started_at; NULL while the incident is open")
    failures = count("Executions that failed in a row", required=True)
    last_failed_at = instant("Start of the last execution that failed", required=True)
    first_result_key = key("The first failed result: key of core.results")
    first_error = text("Why the first execution failed, scrubbed")


class RunSummary(dy.Schema):
    """One row per provider and run: what came out of it, how long it took, what was slowest."""

    run_key = key("Key of core.runs")
    provider = text(_PROVIDER, required=True)
    run_id = text("The provider's id of the run", required=True)
    kind = text("What the provider calls it: test_session, plan_run, test_group_run")
    run_name = text("Name of the run")
    application = text("Application or project under test")
    environment = text("Environment under test as the provider names it")
    status = text("The provider's own word for the state")
    outcome = text(_OUTCOME, required=True)
    is_terminal = flag("True when the state will not change without a re-run or review", required=True)
    started_at = instant("Start of the run")
    ended_at = instant("End of the run")
    utc_date = day(_DAY)
    duration_ms = ms("Duration of the run")
    executions = count("Executions of the run that have a final result", required=True)
    passed_count = count(_PASSED, required=True)
    degraded_count = count(_DEGRADED, required=True)
    failed_count = count(_FAILED, required=True)
    aborted_count = count("Final results that were aborted", required=True)
    unresolved_count = count("Final results that wait for a review", required=True)
    pending_count = count("Executions of the run without a final result yet", required=True)
    pass_rate = number(_RATE, unit="share")
    slowest_result_key = key("The final result that took longest: key of core.results", nullable=True)
    slowest_test_name = text("Name of its test")
    slowest_duration_ms = ms("How long it took")
    trigger = text("What started the run: GITHUB, API, schedule, …")
    repo_url = text("Repository under test")
    branch = text("Branch under test")
    commit_sha = text("Commit under test")
    commit_author = text("Author of the commit")
    commit_message = text("Message of the commit")
    url = text("Link to the run in the provider's product")


class Slo(dy.Schema):
    """One row per provider, test and window: is the objective met, and what is left of the error budget? A view of now."""

    provider = text(_PROVIDER, required=True)
    test_id = text(_TEST_ID, required=True)
    test_name = text(_TEST_NAME)
    window_days = count("Length of the window that ends now: 7, 28 or 90", required=True, unit="days")
    executions = count("Executions in the window, of any outcome", required=True)
    passed_count = count(_PASSED, required=True)
    failed_count = count(_FAILED, required=True)
    availability = number(_RATE, unit="share")
    objective = number("What availability should be: 0.99 for every test", unit="share")
    error_budget_left = number(
        "1 - failed_count / failures that the objective allows: 1 untouched, 0 used up, negative overspent",
        unit="share",
    )
    burn_rate = number("(1 - availability) / (1 - objective): 1 uses the budget up exactly over the window")


class CertificateExpiry(dy.Schema):
    """One row per provider and test that saw a TLS certificate: when does the newest one run out? A view of now."""

    provider = text(_PROVIDER, required=True)
    test_id = text(_TEST_ID, required=True)
    test_name = text(_TEST_NAME)
    host = text("Host of the test's requests, else of its definition, else the certificate's subject")
    subject_cn = text("Common name of the subject")
    issuer_cn = text("Common name of the issuer")
    serial_number = text("Serial number")
    valid_from_at = instant("Start of validity")
    valid_to_at = instant("End of validity")
    seen_at = instant("Start of the newest result that saw it")
    days_left = count("Whole days from now to valid_to_at, rounded down: negative when it has run out", unit="days")


class Freshness(dy.Schema):
    """One row per provider and endpoint: how old is the newest data, and what is open or rejected? A view of now."""

    provider = text(_PROVIDER, required=True)
    endpoint = text("Endpoint; NULL for a provider that was synced and has landed nothing")
    payloads = count("Payload versions in the books: loaded, superseded and rejected", required=True)
    last_landed_at = instant("When the newest payload was fetched")
    last_event_at = instant("Newest start of what these payloads tell of; NULL for definitions")
    last_loaded_at = instant("When a file of the endpoint was last loaded")
    last_sync_at = instant("End of the provider's newest sync without an error")
    last_error = text("What went wrong in the provider's newest sync; NULL when nothing did")
    lag_s = number("Age of last_event_at, else of last_landed_at", unit="s")
    open = count("Entities whose version that stands is not terminal", required=True)
    rejected = count("Payloads that could not be used and that no good version has replaced", required=True)


def _mart(name: str, model: type[dy.Schema]) -> Table:
    return Table("marts", name, model)


MARTS: dict[str, Table] = {
    table.name: table
    for table in (
        _mart("executions", Executions),
        _mart("daily_reliability", DailyReliability),
        _mart("flaky_tests", FlakyTests),
        _mart("timing_breakdown", TimingBreakdown),
        _mart("slow_steps", SlowSteps),
        _mart("assertion_failures", AssertionFailures),
        _mart("failure_reasons", FailureReasons),
        _mart("incidents", Incidents),
        _mart("run_summary", RunSummary),
        _mart("slo", Slo),
        _mart("certificate_expiry", CertificateExpiry),
        _mart("freshness", Freshness),
    )
}
"""Every mart, in an order in which each finds those it reads."""

VIEWS = frozenset({"slo", "certificate_expiry", "freshness"})
"""Marts that depend on the current time: views over stored instants. The others are tables, equal after every rebuild."""

BY_RESULT = frozenset({"executions"})
"""Marts whose rows come from their own result (`result_key`), its run, its test and the other tries of its execution."""

BY_DAY = frozenset({"daily_reliability", "timing_breakdown"})
"""Marts whose rows come from the results of their own `utc_date` and nothing else of other days; those without one, of their own test."""

BY_TEST = frozenset({"slow_steps", "incidents", "flaky_tests", "assertion_failures"})
"""Marts whose rows come from the executions of their own `test_id` and nothing else of other tests."""

BY_RUN = frozenset({"run_summary"})
"""Marts whose rows come from their own run (`run_key`) and its results."""
