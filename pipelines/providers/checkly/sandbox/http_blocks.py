"""`apiCheckResult`: what an API check sent, got, asserted and logged. URL checks are assumed to use it too.

Shapes: recordings of 2020 in the vendor's Go SDK and fixtures of its CLI; in the OpenAPI the insides are free objects.
`timings` are ms since the start, cumulative; `timingPhases` are the ms of each phase and add up to `total`.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from pipelines.providers.checkly.sandbox import planted
from pipelines.providers.checkly.sandbox.run import JSON, Run, assertion

REQUEST_ERRORS = (
    "connect ECONNREFUSED 203.0.113.7:443",
    "getaddrinfo ENOTFOUND {host}",
    "read ECONNRESET",
    "self signed certificate in certificate chain",
)
# A one-pixel PNG: image bodies come base64-encoded, with bodyEncoding saying so (OpenAPI, v2 check results).
PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000"
        "0500010d0a2db40000000049454e44ae426082"
    )
).decode()


def api_block(run: Run) -> JSON:
    """The block of an API or URL check."""
    failed_to_ask = run.outcome == "request_error"
    host = run.check.url.split("/")[2]
    error = run.rng.choice(REQUEST_ERRORS).format(host=host) if failed_to_ask else None
    status = _status(run)
    body = "" if failed_to_ask else _body(run, status)
    return {
        "assertions": _assertions(run, status),
        "request": _request(run),
        "response": _no_response(run) if failed_to_ask else _response(run, status, body),
        "requestError": error,
        "jobLog": _job_log(run, error),
        "jobAssets": None if run.rng.random() < 0.7 else [run.sign("assets.zip")],
        "pcapDataUrl": run.sign("capture.pcap") if run.is_bad else None,
    }


def _status(run: Run) -> int:
    if run.outcome == "failed":
        return run.rng.choice((500, 503, 404))
    return 201 if run.check.method == "POST" else 200


def _request(run: Run) -> JSON:
    headers: JSON = {"accept": "application/json", "user-agent": "Checkly/1.0 (https://www.checklyhq.com)"}
    params: JSON = {}
    url, data = run.check.url, ""
    match run.check.key:
        case "cart":
            headers |= {"authorization": f"Bearer {planted.BEARER}", "x-request-source": "synthetic"}
        case "login":
            headers |= {"content-type": "application/json"}
            data = json.dumps({"user": "probe@shop.example.com", "password": planted.BODY_PASSWORD, "remember": True})
        case "search":
            params = {"q": "blue kettle", "page": "1", "api_key": planted.QUERY_KEY}
            url += f"?q=blue%20kettle&page=1&api_key={planted.QUERY_KEY}"
        case "stock":
            url = url.replace("https://", f"https://probe:{planted.BASIC_USER_PASSWORD}@")
            headers |= {"cookie": f"sid={planted.REQUEST_COOKIE}; theme=dark"}
    return {"method": run.check.method, "url": url, "data": data, "params": params, "headers": headers}


def _response(run: Run, status: int, body: str) -> JSON:
    wait, download = run.rng.uniform(0.3, 1.2), run.rng.uniform(0.1, 0.6)
    total = run.response_ms + run.rng.random()
    rest = total - wait - download
    dns, tcp = rest * run.rng.uniform(0.05, 0.12), rest * run.rng.uniform(0.1, 0.22)
    first_byte = rest - dns - tcp
    is_image = run.check.key == "logo" and status == 200
    headers: dict[str, Any] = {
        "date": run.stopped_at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "server": "nginx",
        "content-type": "image/png" if is_image else "application/json; charset=utf-8",
        "content-length": str(len(body)),
        "cache-control": "no-cache",
        "vary": "origin",
        "via": "1.1 edge-" + run.location,
        "x-request-id": f"{run.rng.getrandbits(64):016x}",
    }
    if run.check.key in ("login", "cart"):
        # Node hands set-cookie over as a list, every other header as text.
        headers["set-cookie"] = [
            f"session={planted.SET_COOKIE}; Path=/; HttpOnly; Secure",
            "locale=en; Path=/",
        ]
    href = run.check.url + (f"?access_token={planted.HREF_TOKEN}" if run.check.key == "login" else "")
    response = {
        "status": status,
        "statusText": {200: "OK", 201: "Created", 404: "Not Found", 500: "Internal Server Error"}.get(status, "Service Unavailable"),
        "body": body,
        "href": href,
        "truncated": run.check.type == "URL",
        "headers": headers,
        "timings": {
            "socket": wait,
            "lookup": wait + dns,
            "connect": wait + dns + tcp,
            "response": total - download,
            "end": total,
        },
        "timingPhases": {
            "wait": wait,
            "dns": dns,
            "tcp": tcp,
            "firstByte": first_byte,
            "download": download,
            "total": total,
        },
    }
    return response | ({"bodyEncoding": "base64"} if is_image else {})


def _no_response(run: Run) -> JSON:
    return {
        "status": 0,
        "statusText": "",
        "body": "",
        "href": run.check.url,
        "truncated": False,
        "headers": None,
        "timings": {"socket": run.rng.uniform(0.3, 1.2)},
        "timingPhases": None,
    }


def _body(run: Run, status: int) -> str:
    if status >= 400:
        return json.dumps(
            {
                "error": {
                    "code": "UPSTREAM_UNAVAILABLE" if status == 503 else "INTERNAL" if status == 500 else "NOT_FOUND",
                    "message": "The service could not answer in time; try again later.",
                    "trace": [f"at handler{i} (/srv/app/routes/{run.check.key}.js:{40 + i}:{7 + i})" for i in range(6)],
                }
            }
        )
    if run.check.key == "logo":
        return PIXEL
    if run.check.type == "URL":
        items = "".join(f"<li class='card'>Product {i} <b>{9 + i}.99</b></li>" for i in range(25))
        return f"<!doctype html><html><head><title>{run.check.name}</title></head><body><ul>{items}</ul></body></html>"
    if run.check.key == "login":
        return json.dumps(
            {
                "status": "ok",
                "user": {"id": 8831, "email": "probe@shop.example.com", "roles": ["customer"]},
                "access_token": planted.RESPONSE_TOKEN,
                "expires_in": 3600,
            }
        )
    items_json = [
        {
            "sku": f"SKU-{run.rng.randrange(10**6):06d}",
            "title": run.rng.choice(("Blue kettle", "Steel pan", "Tea towel", "Müsli bowl 🥣", "Carafe")),
            "quantity": run.rng.randint(1, 5),
            "price": {"amount": round(run.rng.uniform(3, 90), 2), "currency": "EUR"},
            "warehouse": {"id": 9007199254740993 + i, "city": "Köln"},
        }
        for i in range(run.rng.randint(8, 20))
    ]
    return json.dumps({"status": "ok", "items": items_json, "count": len(items_json)}, ensure_ascii=False)


def _assertions(run: Run, status: int) -> list[JSON]:
    expected = 201 if run.check.method == "POST" else 200
    bad, ms = run.outcome == "failed", run.response_ms
    rows = [assertion(0, "STATUS_CODE", "", "EQUALS", expected, status, f"Expected {status} to equal {expected}" if bad else None)]
    if run.check.type == "API" and run.check.key != "logo":
        rows += [
            assertion(
                1,
                "JSON_BODY",
                "$.status",
                "EQUALS",
                "ok",
                None if bad else "ok",
                "Expected undefined to equal ok" if bad else None,
            ),
            assertion(2, "HEADERS", "content-type", "CONTAINS", "json", "application/json; charset=utf-8", None),
            assertion(
                3,
                "RESPONSE_TIME",
                "",
                "LESS_THAN",
                10000,
                ms,
                f"Expected {ms} to be below 10000" if ms >= 10000 else None,
            ),
        ]
    if run.check.key == "search":
        rows.append(
            assertion(
                4,
                "TEXT_BODY",
                "",
                "NOT_CONTAINS",
                "error",
                None,
                None if not bad else 'Expected body not to contain "error"',
            )
            | {"regex": "error[s]?"}
        )
    if run.check.type == "URL":
        # As recorded in 2020: an assertion that passed had no regex, error or actual.
        kept = ("order", "source", "property", "comparison", "target")
        rows = [row if row["error"] else {key: row[key] for key in kept} for row in rows]
    if run.outcome == "request_error":
        # Nothing was asserted: the configured assertions come back without error and actual (CLI fixture).
        rows = [{key: row[key] for key in ("order", "source", "property", "comparison", "target")} for row in rows]
    return rows


def _job_log(run: Run, error: str | None) -> JSON | None:
    if run.check.type == "URL":
        return None
    setup = []
    if run.check.key == "login":
        setup = [
            run.log(1, "Running setup script"),
            run.log(3, f"using user=probe@shop.example.com password={planted.LOG_PASSWORD}", "DEBUG"),
        ]
    end = run.response_ms
    request = [run.log(5, f"Sending {run.check.method} request to {run.check.url}")]
    if run.check.key == "cart":
        request.append(run.log(6, f"> Authorization: Bearer {planted.BEARER}", "DEBUG"))
    if error is None:
        request.append(run.log(5 + end, f"Response received in {end} ms"))
    else:
        request.append(run.log(5 + end, error, "ERROR"))
    teardown = [run.log(8 + end, "Session closed")] if run.check.key == "login" and error is None else []
    return {"setup": setup, "request": request, "teardown": teardown}
