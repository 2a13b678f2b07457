"""`browserCheckResult`, `multiStepCheckResult`, `playwrightCheckResult` and `agenticCheckResult`.

Shapes: recordings of 2023 and the vendor's CLI fixtures; the agentic block and the trace files are typed on
GET /v2/check-results (OpenAPI 2026-08-18). `startTime`, `endTime` and log times are epoch ms. Errors are text or
objects. The session result's schema has videos and traces as signed URL strings.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pipelines.providers.checkly.sandbox import planted
from pipelines.providers.checkly.sandbox.run import JSON, Run, epoch_ms, iso

# Limits of "good" and "poor" per vital: ms, CLS without unit (web.dev, Core Web Vitals; TBT and TTFB likewise).
VITALS = {"LCP": (2500, 4000), "FCP": (1800, 3000), "CLS": (0.1, 0.25), "TBT": (200, 600), "TTFB": (800, 1800)}


def browser_block(run: Run) -> JSON:
    """A browser check's block; nothing failed: errors are []."""
    rng, bad = run.rng, run.outcome == "failed"
    paths = ["", "product/kettle", "cart"][: rng.randint(1, 3)]
    return {
        "type": "playwright",
        "traceSummary": {
            "consoleErrors": rng.randint(0, 3) + bad,
            "networkErrors": rng.randint(0, 1) + bad,
            "documentErrors": 0,
            "userScriptErrors": int(bad),
        },
        "pages": [_page(run, run.check.url.rstrip("/") + "/" + path) for path in paths],
        "errors": _errors(run) if bad else [],
        **_script_common(run),
        **_playwright_assets(run),
    }


def multi_step_block(run: Run) -> JSON:
    """A multi-step check's block: no pages and no videos."""
    bad = run.outcome == "failed"
    errors = ["Error: Payment step failed", "AssertionError: Expected cart total to match"] if bad else []
    assets = _playwright_assets(run)
    assets["playwrightTestVideos"] = []
    return {"errors": errors, **_script_common(run), **assets}


def playwright_block(run: Run) -> JSON:
    """A Playwright suite's block: errors and trace files are objects."""
    bad = run.outcome == "failed"
    traces = ["checkout-chromium", "checkout-firefox"] if run.check.key == "pw-checkout" else ["chromium"]
    lost = run.outcome == "cancelled"
    return {
        "errors": None if lost else [_error_object(run, "TimeoutError")] if bad else [],
        "playwrightTraceFiles": []
        if lost
        else [{"url": run.sign(f"{name}-trace.zip"), "name": name, "filename": f"{name}-trace.zip"} for name in traces],
        "jobLog": _job_log(run),
        "jobAssets": [run.sign("report.zip")],
        "pcapDataUrl": None,
        **_playwright_assets(run),
    }


def agentic_block(run: Run) -> JSON:
    """An agent's run: what it was told, did, found and suggests. `secrets` of a suggestion are variable names."""
    bad = run.outcome == "failed"
    signs_up = run.check.key == "agent-signup"
    prompt = f"Open {run.check.url} and verify that it works for a new visitor."
    if signs_up:
        prompt += f" Sign up as probe@shop.example.com with the password '{planted.AGENT_PASSWORD}'."
    assertions = [
        {"condition": "The page answers with HTTP 200", "passed": not bad, "actual": "503" if bad else "200",
         "expected": "200"},
        {"condition": 'The page heading is "Welcome"', "passed": True, "actual": "Welcome", "expected": "Welcome"},
    ]  # fmt: skip
    suggestions: list[JSON] = [
        {
            "summary": "Also verify the pricing page",
            "prompt": "Then open /pricing and confirm that all plans are visible.",
            "secrets": [],
            "category": "configuration",
        }
    ]
    if signs_up:
        suggestions.append(
            {
                "summary": "Keep the password in a variable",
                "promptReplacement": f"Open {run.check.url} and sign up with {{{{SIGNUP_PASSWORD}}}}.",
                "secrets": ["SIGNUP_PASSWORD"],
                "category": "credentials",
            }
        )
    return {
        "summary": f"The page did not load: {run.check.url} answered 503." if bad else "The page works as described.",
        "prompt": prompt,
        "assertions": assertions,
        "suggestions": suggestions,
        "steps": _agent_steps(run, signs_up),
        "errors": [{"error": {"message": "Request failed: 503 Service Unavailable"}}] if bad else [],
        "artifactManifest": {
            "screenshots/01-open.png": "The page after loading",
            "screenshots/02-end.png": "The page at the end",
        },
        "jobLog": _job_log(run),
        "jobAssets": [run.sign("screenshots/01-open.png"), run.sign("screenshots/02-end.png")],
        "pcapDataUrl": None,
    }


def _agent_steps(run: Run, signs_up: bool) -> list[JSON]:
    steps: list[JSON] = [
        {"type": "message", "output": "Starting the check."},
        {"type": "tool_call", "name": "http_request", "input": {"method": "GET", "url": run.check.url}},
        {
            "type": "tool_result",
            "name": "http_request",
            "output": "503 Service Unavailable" if run.outcome == "failed" else "200 OK",
        },
    ]
    if signs_up:
        steps += [
            {
                "type": "tool_call",
                "name": "fill",
                "input": {"selector": "#password", "password": planted.AGENT_PASSWORD},
            },
            {
                "type": "tool_result",
                "name": "fill",
                "output": f"Typed '{planted.AGENT_PASSWORD}' into the password field.",
            },
        ]
    steps.append({"type": "message", "output": "Verifying the heading and finishing."})
    gap = (run.stopped_at - run.started_at) / (len(steps) + 1)
    for number, step in enumerate(steps, 1):
        step |= {"timestamp": iso(run.started_at + gap * number), "sequenceNumber": number}
    return steps


def _page(run: Run, url: str) -> JSON:
    vitals = {}
    for name, (good, poor) in VITALS.items():
        value = round(run.rng.lognormvariate(0, 0.6) * good * 0.6, 3)
        score = "GOOD" if value <= good else "NEEDS_IMPROVEMENT" if value <= poor else "POOR"
        vitals[name] = {"value": value, "score": score}
    loaded = run.rng.uniform(300, 1500)
    return {
        "url": url,
        "webVitals": vitals,
        "pageTimings": {"onContentLoad": round(loaded, 1), "onLoad": round(loaded * 1.6, 1)},
        "responseSizes": {kind: run.rng.randint(800, 400_000) for kind in ("document", "script", "stylesheet", "image", "xhr")},
    }


def _errors(run: Run) -> list[Any]:
    kinds: tuple[list[Any], ...] = (
        [_error_object(run, "TimeoutError")],
        ["TimeoutError: page.click: Timeout 5000ms exceeded"],
        [
            _error_object(run, "Error") | {"isSoft": True},
            "Error: page.goto: net::ERR_CONNECTION_RESET at " + run.check.url,
        ],
    )
    return run.rng.choice(kinds)


def _error_object(run: Run, name: str) -> JSON:
    message = f"{name}: locator.fill: Timeout 5000ms exceeded while filling the password field with "
    message += f"'{planted.TYPED_PASSWORD}'"
    file = run.check.file_path or "checks/" + run.check.key + ".spec.ts"
    stack = "\n".join(
        [message, f"    at /checkly/{file}:14:9"]
        + [f"    at Runner.step{i} (/checkly/node_modules/runner/worker.js:{200 + 17 * i}:{i + 3})" for i in range(9)]
    )
    return {"name": name, "message": message, "stack": stack}


def _script_common(run: Run) -> JSON:
    return {
        "startTime": epoch_ms(run.started_at),
        "endTime": epoch_ms(run.stopped_at),
        "runtimeVersion": "2025.04",
        "jobLog": _job_log(run),
        "jobAssets": [run.sign("assets.zip")] if run.outcome == "failed" else None,
        "pcapDataUrl": None,
    }


def _playwright_assets(run: Run) -> JSON:
    report = {"playwrightTestJsonReportFile": run.sign("report.json")}
    if run.outcome == "cancelled":
        return {"playwrightTestVideos": [], "playwrightTestTraces": []}
    return {
        "playwrightTestVideos": [run.sign("video-1.webm")] if run.outcome == "failed" else [],
        "playwrightTestTraces": [run.sign("trace-1.zip")],
    } | report


def _job_log(run: Run) -> list[JSON]:
    end = (run.stopped_at - run.started_at) / timedelta(milliseconds=1)
    if run.check.type == "MULTI_STEP":
        typed = f'data: {{"user": "probe", "password": "{planted.LOG_PASSWORD}"}}'
        does = [f"POST {run.check.url}", typed, "expect(response).toBeOK()"]
    else:
        typed = f"locator('#password').fill('{planted.TYPED_PASSWORD}')"
        does = [f"page.goto({run.check.url!r})", typed, "expect(locator('.card').nth({i})).toBeVisible()"]
    lines = [
        run.log(0, f"Starting {run.check.type.lower()} check in {run.location}"),
        run.log(end * 0.2, does[0]),
        run.log(end * 0.4, does[1], "DEBUG"),
    ]
    lines += [run.log(end * (0.4 + i / 40), does[2].format(i=i)) for i in range(12)]
    if run.outcome == "failed":
        lines.append(run.log(end * 0.95, "Test failed: locator.fill: Timeout 5000ms exceeded", "ERROR"))
    elif run.outcome == "aborted":
        return [*lines[:3], run.log(end, "Run aborted", "WARN")]
    elif run.outcome == "cancelled":
        return [*lines[:4], run.log(end, "Run cancelled by user", "WARN")]
    return [*lines, run.log(end, "Finished")]
