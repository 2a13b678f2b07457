"""The `core` tables: what runs, results and their parts are. Meanings are the contract's; provider rules live with the providers.

Columns marked `derived` are not given by a provider's flatten: the load or the derive SQL fills them.
"""

from __future__ import annotations

import dataframely as dy

from pipelines.schemas.columns import (
    OUTCOMES,
    PART_OUTCOMES,
    count,
    day,
    flag,
    instant,
    json,
    key,
    ms,
    number,
    text,
    word,
)

_RESULT_KEY = "The result this belongs to: first 8 bytes of MD5(provider, result_id, attempt), top bit cleared"
_STEP = "The step this belongs to, -1 for the whole result"
_ENDPOINT = "Which endpoint's payload the row came from"


class Runs(dy.Schema):
    """One run: a Checkly test session, an Applitools plan run, a DocketQA test group run."""

    run_key = key("First 8 bytes of MD5(provider, run_id), top bit cleared", primary=True)
    provider = text("Provider name", required=True, derived=True)
    run_id = text("The provider's id of the run", required=True)
    kind = text("What the provider calls it: test_session, plan_run, test_group_run")
    name = text("Name of the run")
    application = text("Application or project under test")
    environment = text("Environment under test as the provider names it")
    status = text("The provider's own word for the state")
    outcome = word("State in the common vocabulary", OUTCOMES)
    is_terminal = flag("True when the state will not change without a re-run or review", required=True)
    started_at = instant("Start of the run")
    ended_at = instant("End of the run")
    duration_ms = ms("Duration of the run")
    utc_date = day("Day of started_at in UTC", derived=True)
    trigger = text("What started the run: GITHUB, API, schedule, …")
    repo_url = text("Repository under test")
    branch = text("Branch under test")
    commit_sha = text("Commit under test")
    commit_author = text("Author of the commit")
    commit_message = text("Message of the commit")
    error_group_ids = json("List of the provider's error group ids")
    passed_count = count("Passed (degraded included): final results, or checkpoints where the provider counts those")
    failed_count = count("Failed, counted like passed_count")
    aborted_count = count("Aborted, counted like passed_count")
    pending_count = count("Pending, counted like passed_count")
    unresolved_count = count("Unresolved, counted like passed_count")
    url = text("Link to the run in the provider's product")
    payload_sha256 = text("Hash of the payload that the row came from", derived=True)
    fetched_at = instant("When that payload was fetched", derived=True)
    attributes = json("Every documented leaf without a column of its own")


class Results(dy.Schema):
    """One try of one test in one place."""

    result_key = key("First 8 bytes of MD5(provider, result_id, attempt), top bit cleared", primary=True)
    provider = text("Provider name", required=True, derived=True)
    result_id = text("The provider's id of the result", required=True)
    attempt = count("1 except where one payload holds several tries", required=True)
    execution_id = text("Groups the tries of one execution", required=True)
    try_number = count("Place among the tries of the execution, from 1, by started_at and result_id", derived=True)
    is_final = flag("True for the one try that counts for its execution", derived=True)
    try_kind = text("The provider's word on what the try is: final, attempt, pending; NULL where it has none")
    run_key = key("The run this result belongs to", nullable=True)
    run_id = text("The provider's id of that run")
    test_id = text("The provider's id of the test", required=True)
    test_name = text("Name of the test")
    test_type = text("Kind of test as the provider names it, lower case")
    location = text("Where the test ran")
    private_location_id = text("Id of the private location it ran in")
    device = text("Device name")
    browser = text("Browser name")
    browser_version = text("Browser version")
    os = text("Operating system")
    viewport_width = count("Viewport or screen width of the device", unit="px")
    viewport_height = count("Viewport or screen height of the device", unit="px")
    trigger = text("What started the try: scheduled, fast, ci, triggered, … as the provider names it")
    initial_result_id = text("The result that this one is a retry of, as the provider names it")
    status = text("The provider's own word for the state")
    outcome = word("State in the common vocabulary", OUTCOMES)
    is_terminal = flag("True when the state will not change any more", required=True)
    has_detail = flag("True when the full result was fetched, false when only its list row is known", derived=True)
    is_degraded = flag("The provider says: over its degraded threshold")
    is_cancelled = flag("The provider says: cancelled")
    is_aborted = flag("The provider says: aborted")
    has_errors = flag("The provider says: an internal error occurred")
    has_failures = flag("The provider says: the test failed")
    started_at = instant("Start of the try")
    ended_at = instant("End of the try")
    duration_ms = ms("Duration of the try")
    response_time_ms = ms("Response time of the tested system")
    utc_date = day("Day of started_at in UTC", derived=True)
    http_status_code = count("HTTP status code of the tested system")
    failure_code = text("The provider's failure code")
    failure_message = text("The provider's failure message, scrubbed")
    resolved_ip = text("Address that the tested host name was resolved to")
    dns_server = text("Name server that was asked")
    step_count = count("Steps that the test has, as the provider counts them")
    step_completed_count = count("Steps that ran, as the provider counts them")
    error_count = count("Errors, as the provider counts them")
    test_valid_from_at = instant("valid_from_at of the row of core.tests that was in force when the try started", derived=True)
    trace_id = text("Id of the trace that belongs to the try")
    url = text("Link to the result in the provider's product")
    payload_sha256 = text("Hash of the payload that the row came from", derived=True)
    fetched_at = instant("When that payload was fetched", derived=True)
    attributes = json("Every documented leaf without a column of its own")


class Steps(dy.Schema):
    """One step of a result, nested steps depth first."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    step_index = count("Place in the result, from 0, nested steps depth first", primary=True)
    parent_step_index = count("step_index of the enclosing step")
    step_id = text("The provider's id of the step")
    name = text("What the step does, scrubbed")
    kind = text("Kind of step as the provider names it")
    outcome = word("State of the step", PART_OUTCOMES)
    started_at = instant("Start of the step")
    duration_ms = ms("Duration of the step, NULL when it did not run")
    url = text("Page the step ran on")
    result_text = text("What the step said, scrubbed")
    error_message = text("Why the step failed, scrubbed")
    attributes = json("Every documented leaf without a column of its own")
    endpoint = text(_ENDPOINT, derived=True)


class Actions(dy.Schema):
    """One thing that a step did."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    step_index = count("The step that did it", primary=True)
    action_index = count("Place in the step, from 0", primary=True)
    kind = text("Kind of action as the provider names it")
    description = text("What was done, scrubbed")
    attributes = json("Every documented leaf without a column of its own")
    endpoint = text(_ENDPOINT, derived=True)


class Assertions(dy.Schema):
    """One configured assertion with what became of it."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    assertion_index = count("Place in the configuration, from 0", primary=True)
    step_index = count(_STEP, required=True)
    source = text("What is asserted on: statusCode, STATUS_CODE, agentic, …")
    property = text("Header name, JSONPath, XPath, condition, …")
    operator = text("Comparison")
    target = text("Expected value: scalars plain, lists and objects as compact JSON")
    actual = text("Found value: scalars plain, lists and objects as compact JSON")
    outcome = word("State of the assertion", PART_OUTCOMES)
    error_message = text("Why the assertion failed, scrubbed")
    attributes = json("Every documented leaf without a column of its own")
    endpoint = text(_ENDPOINT, derived=True)
    outcome_endpoint = text("Which endpoint's payload told the outcome", derived=True)


class Timings(dy.Schema):
    """One phase of a result or step: how long it took, or when it was reached."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    step_index = count(_STEP, primary=True)
    phase = text("Phase in the common vocabulary, else the provider's name in snake_case", primary=True)
    duration_ms = ms("How long the phase took (or offset_ms)")
    offset_ms = ms("When the phase was reached, from the start (or duration_ms)")
    is_total = flag("True for the phase that sums the others", required=True)
    phase_raw = text("The provider's own name of the phase", required=True)
    endpoint = text(_ENDPOINT, derived=True)


class Errors(dy.Schema):
    """One distinct error of a result: one row per step and message."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    error_index = count("Place in the result, from 0", primary=True)
    step_index = count(_STEP, required=True)
    origin = text("Where it came from: failure, request, step, browser, schedule, …")
    code = text("The provider's error code")
    name = text("Error class or type")
    message = text("Message, scrubbed")
    stack = text("Stack trace, scrubbed")
    fingerprint = text("Hash of the message with numbers, ids and quoted parts taken out", derived=True)
    endpoint = text(_ENDPOINT, derived=True)


class Logs(dy.Schema):
    """One log line that the provider keeps with a result."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    log_index = count("Place in the result, from 0", primary=True)
    phase = text("setup, request, teardown, …")
    logged_at = instant("When it was logged")
    level = text("Level as the provider names it")
    message = text("Message, scrubbed")
    endpoint = text(_ENDPOINT, derived=True)


class Artifacts(dy.Schema):
    """One file that the provider keeps with a result."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    artifact_index = count("Place in the result, from 0", primary=True)
    step_index = count(_STEP, required=True)
    action_index = count("The action it belongs to")
    kind = text("screenshot, video, trace, pcap, report, file, …")
    name = text("File name or path")
    url = text("Address without query and fragment")
    endpoint = text(_ENDPOINT, derived=True)


class PageVitals(dy.Schema):
    """One web vital or page timing."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    page_index = count("Place of the page in the result, from 0; -1 for the whole result", primary=True)
    metric = text("lcp, cls, fcp, tbt, ttfb, on_load, on_content_load, time_to_interactive, …", primary=True)
    page_url = text("Address of the page, scrubbed")
    value = number("Value: ms, but for cls (a score without unit)")
    score = text("The provider's verdict: good, needs_improvement, poor")
    endpoint = text(_ENDPOINT, derived=True)


class Certificates(dy.Schema):
    """The TLS certificate that a result saw."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    subject_cn = text("Common name of the subject")
    issuer_cn = text("Common name of the issuer")
    valid_from_at = instant("Start of validity")
    valid_to_at = instant("End of validity")
    fingerprint = text("Fingerprint as the provider gives it")
    serial_number = text("Serial number")
    cipher = text("Cipher suite")
    protocol = text("TLS version")
    alt_names = json("Subject alternative names, a list")
    is_chain_trusted = flag("The provider says: the chain ends in a trusted root")
    is_hostname_verified = flag("The provider says: the certificate is for the tested host name")
    handshake_ms = ms("How long the TLS handshake took")
    attributes = json("Every documented leaf without a column of its own")
    endpoint = text(_ENDPOINT, derived=True)


class Exchanges(dy.Schema):
    """One request to the tested system with its response."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    exchange_index = count("Place in the result, from 0", primary=True)
    step_index = count(_STEP, required=True)
    method = text("HTTP method or the protocol's call")
    url = text("Requested address, scrubbed")
    status_code = count("HTTP status code")
    host = text("Host that was asked, where it is told apart from the address")
    port = count("Port that was asked, where it is told apart from the address")
    resolved_ip = text("Address that the host name was resolved to")
    grpc_status_code = count("gRPC status code, 0 is OK")
    grpc_health_status = text("State that a gRPC health check reported")
    request_headers = json("Request headers, secrets masked")
    response_headers = json("Response headers, secrets masked")
    response_body = text("Response body, scrubbed")
    response_bytes = count("Size of the response", unit="bytes")
    attributes = json("Every documented leaf without a column of its own")
    endpoint = text(_ENDPOINT, derived=True)


class Hops(dy.Schema):
    """One hop of a traceroute or network path."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    trace_index = count("Place of the traceroute in the result, from 0", primary=True)
    hop_index = count("Place of the hop in the traceroute, from 0", primary=True)
    step_index = count(_STEP, required=True)
    hop_number = count("Distance from the source as the provider numbers it (TTL)")
    host = text("Host name of the router")
    ip = text("Address of the router")
    asn = text("Autonomous system of the router")
    is_reachable = flag("True when the router answered")
    sent_count = count("Packets sent")
    received_count = count("Packets answered")
    packet_loss_pct = number("Packets lost", unit="%")
    rtt_avg_ms = ms("Mean round trip")
    rtt_min_ms = ms("Shortest round trip")
    rtt_max_ms = ms("Longest round trip")
    attributes = json("Every documented leaf without a column of its own")
    endpoint = text(_ENDPOINT, derived=True)


class DnsRecords(dy.Schema):
    """One answer or attempt of a name resolution."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    record_index = count("Place in the result, from 0", primary=True)
    step_index = count(_STEP, required=True)
    kind = text("answer or attempt")
    server = text("Name server that was asked")
    name = text("Name that was asked for")
    record_type = text("Record type: A, AAAA, CNAME, …")
    value = text("What was answered; several values as a JSON list")
    ttl_s = number("How long the answer may be kept", unit="s")
    duration_ms = ms("How long the answer took")
    attributes = json("Every documented leaf without a column of its own")
    endpoint = text(_ENDPOINT, derived=True)


class Pings(dy.Schema):
    """Packet statistics of a network probe."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    ping_index = count("Place in the result, from 0", primary=True)
    step_index = count(_STEP, required=True)
    sent_count = count("Packets sent")
    received_count = count("Packets answered")
    packet_loss_pct = number("Packets lost", unit="%")
    rtt_avg_ms = ms("Mean round trip")
    rtt_min_ms = ms("Shortest round trip")
    rtt_max_ms = ms("Longest round trip")
    jitter_ms = ms("Mean deviation between round trips")
    attributes = json("Every documented leaf without a column of its own")
    endpoint = text(_ENDPOINT, derived=True)


class Suggestions(dy.Schema):
    """One change that an agent suggests for its test."""

    result_key = key(_RESULT_KEY, primary=True)
    provider = text("Provider name", required=True, derived=True)
    suggestion_index = count("Place in the result, from 0", primary=True)
    category = text("What it is about: credentials, endpoint, configuration")
    summary = text("The suggestion, scrubbed")
    prompt = text("Passage of the prompt that it is about, scrubbed")
    prompt_replacement = text("What the agent would write instead, scrubbed")
    secret_names = json("Names of the variables that it needs, a list")
    endpoint = text(_ENDPOINT, derived=True)


class Environments(dy.Schema):
    """One environment that a run covers."""

    run_key = key("The run this belongs to", primary=True)
    provider = text("Provider name", required=True, derived=True)
    environment_index = count("Place in the run, from 0", primary=True)
    name = text("Name of the environment")
    os = text("Operating system")
    browser = text("Browser")
    device = text("Device")
    viewport_width = count("Viewport width", unit="px")
    viewport_height = count("Viewport height", unit="px")
    endpoint = text(_ENDPOINT, derived=True)


class Tests(dy.Schema):
    """One version of a test definition, from when it was first seen to when the next one was."""

    provider = text("Provider name", primary=True, derived=True)
    test_id = text("The provider's id of the test", primary=True)
    valid_from_at = instant("First time that this version was observed", primary=True, derived=True)
    valid_to_at = instant("First time that the next version was observed, NULL for the current one", derived=True)
    is_current = flag("True for the newest version", required=True, derived=True)
    name = text("Name of the test")
    test_type = text("Kind of test as the provider names it, lower case")
    status = text("Pause state as the provider names it")
    is_paused = flag("True when the test is not scheduled")
    frequency_s = number("Time between two scheduled runs", unit="s")
    locations = json("Where it runs, a list")
    tags = json("Tags, a list")
    target_url = text("What it tests, scrubbed")
    config = json("Configuration, secrets masked")
    attributes = json("Every documented leaf without a column of its own")


class Sightings(dy.Schema):
    """One observation of a test definition in a payload: what `core.tests` is derived from."""

    test_id = text("The provider's id of the test", required=True)
    observed_at = instant("List: when it was fetched; result: when it started", required=True)
    origin = text("What was read: definition, result", required=True)
    name = text("Name of the test")
    test_type = text("Kind of test as the provider names it, lower case")
    status = text("Pause state as the provider names it")
    is_paused = flag("True when the test is not scheduled")
    frequency_s = number("Time between two scheduled runs", unit="s")
    locations = json("Where it runs, a list")
    tags = json("Tags, a list")
    target_url = text("What it tests, scrubbed")
    config = json("Configuration, secrets masked; keys sorted")
    attributes = json("Every documented leaf without a column of its own")
