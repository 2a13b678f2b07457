"""What a try looks like in v2: its row in the results list and its full result, for tests of every kind. Steps: `v2_steps`.

Shapes are those of the vendor's v2 models; no recording exists. What v1 tells of the same try is told here as well.
"""

from __future__ import annotations

import math
from datetime import datetime
from random import Random

from pipelines.providers.datadog.sandbox import api_results, browser_results, v2_steps
from pipelines.providers.datadog.sandbox.browser_tests import DEVICES
from pipelines.providers.datadog.sandbox.history import DAY_MS, TRIGGERED, Try
from pipelines.providers.datadog.sandbox.specs import Json
from pipelines.providers.datadog.sandbox.v2_tests import MOBILE_DEVICES
from pipelines.sandbox.world import World, epoch_ms

PAGE_ROWS = 100
"""Rows of a page: assumed, neither documented nor recorded."""
_API = ("api", "network")
_REPOSITORY = "https://github.com/shop-example/storefront"


def listed(world: World, item: Try) -> Json:
    """The try's row in `GET .../results`, as of the world's now."""
    attributes = {**_about(item), "run_type": _run_type(item), "started_at": item.check_ms}
    if world.now_ms >= item.finish_ms:
        v1 = _v1(world, item)
        message = v1.get("failure", {}).get("message")
        attributes["status"], attributes["finished_at"] = _status(item), _finished_ms(item)
        attributes["execution_info"] = {
            "duration": {"has_duration": True, "value": math.ceil(item.total_ms)},
            "is_fast_retry": item.initial_id is not None,
            "tunnel": False,
            "unhealthy": False,
            **({"error_message": message} if message else {}),
            **({"timings": v1["timings"]} if v1.get("timings") else {}),
        }
        steps = _steps(world, item)
        if steps:
            done = [step for step in steps if step["status"] != "skipped"]
            failed = [step for step in steps if step["status"] == "failed"]
            attributes["steps_info"] = {"completed": len(done), "errors": len(failed), "total": len(steps)}
    return {"id": item.result_id, "type": "result_summary", "attributes": attributes, "relationships": _relationships(item)}


def full(world: World, item: Try) -> Json:
    """The try's `GET .../results/{result_id}`; only for what has finished."""
    attributes = {**_about(item), **_run(world, item), "result": _result(world, item)}
    data = {"id": item.result_id, "type": "result", "attributes": attributes, "relationships": _relationships(item)}
    return {"data": data, "included": [definition(item)]}


def definition(item: Try) -> Json:
    """The try's test as an included resource (assumed: written as v1 writes it)."""
    return {"id": item.spec.public_id, "type": "test", "attributes": item.version.definition}


def _relationships(item: Try) -> Json:
    return {"test": {"data": {"id": item.spec.public_id, "type": "test"}}}


def _run_type(item: Try) -> str:
    return "ci" if item.run_type == TRIGGERED else "fast" if item.initial_id is not None else "scheduled"


def _status(item: Try) -> str:
    return "passed" if item.ending == "pass" else "no_data" if item.ending == "error" else "failed"


def _finished_ms(item: Try) -> int:
    return item.check_ms + math.ceil(item.total_ms)


def _v1(world: World, item: Try) -> Json:
    """v1's `result` of the try; of a mobile test, which v1 has none of, what a browser test would say went wrong."""
    if item.spec.type in _API:
        told: Json = api_results.full(world, item)["result"]
        return told
    if item.spec.type == "browser":
        found: Json = browser_results.full(world, item)["result"]
        return found
    if item.ending == "pass":
        return {}
    code, message = browser_results.FAILURES[item.ending]
    return {"failure": {"code": code, "message": message}}


def _rng(world: World, item: Try) -> Random:
    return world.rng("datadog", "v2", item.result_id)


def _about(item: Try) -> Json:
    spec = item.spec
    is_private = item.location.startswith("pl:")
    location = {"id": item.location, "name": item.location.partition(":")[2], "version": "1.61.0", "worker_id": f"worker-{item.location}"}
    about: Json = {"test_type": spec.type, "location": location if is_private else {"id": item.location, "name": location["name"]}}
    if spec.subtype is not None:
        about["test_sub_type"] = spec.subtype
    if item.device in MOBILE_DEVICES:
        about["device"] = MOBILE_DEVICES[item.device]
    elif item.device is not None:
        device = DEVICES[item.device]
        agent = str(device["userAgent"])
        about["device"] = {
            "id": item.device,
            "name": device["name"],
            "type": item.device.partition(".")[2],
            "browser": {"type": device["browser"], "user_agent": agent, "version": "144.0" if "Firefox" in agent else "142.0.7444.61"},
            "platform": {"name": "linux", "version": "6.8"},
            "resolution": {"width": device["width"], "height": device["height"], "pixel_ratio": 1.0},
        }
    return about


def _run(world: World, item: Try) -> Json:
    """The CI batch of a triggered run: one a day, of all tests."""
    if item.run_type != TRIGGERED:
        return {}
    day = item.check_ms // DAY_MS
    rng = world.rng("datadog", "batch", day)
    number = 4000 + day % 1000
    person = {"name": "Amara Diallo", "email": "amara@shop.example.com", "date": "2026-11-01T08:00:00Z"}
    return {
        "batch": {"id": world.uuid("datadog", "batch", day)},
        "ci": {
            "pipeline": {"id": str(rng.getrandbits(40)), "name": "storefront", "number": number, "url": f"{_REPOSITORY}/actions/{number}"},
            "provider": {"name": "github"},
            "stage": {"name": "after deploy"},
            "workspace_path": "/builds/shop/storefront",
        },
        "git": {
            "branch": "main",
            "repository_url": f"{_REPOSITORY}.git",
            "commit": {
                "sha": f"{rng.getrandbits(160):040x}",
                "message": "Show the total with taxes",
                "url": f"{_REPOSITORY}/commit/{number}",
                "author": person,
                "committer": person,
            },
        },
    }


def _steps(world: World, item: Try) -> list[Json]:
    if item.spec.type == "browser":
        return v2_steps.of_browser(browser_results.full(world, item)["result"]["stepDetails"], item.result_id)
    if item.spec.type == "mobile":
        return v2_steps.of_mobile(item, _rng(world, item))
    if item.spec.subtype == "multi":
        return v2_steps.of_multistep(item, _rng(world, item), _v1(world, item).get("failure"))
    return []


def _result(world: World, item: Try) -> Json:
    v1 = _v1(world, item)
    result: Json = {
        "id": item.result_id,
        "status": _status(item),
        "run_type": _run_type(item),
        "triggered_at": item.check_ms - 200,
        "started_at": item.check_ms,
        "finished_at": _finished_ms(item),
        "duration": item.total_ms,
        "is_fast_retry": item.initial_id is not None,
        "is_last_retry": item.next_try_ms is None,
        "tunnel": False,
        "unhealthy": False,
    }
    if item.initial_id is not None:
        result["initial_id"] = item.initial_id
    if "failure" in v1:
        result["failure"] = {**v1["failure"], "internal_code": v1["failure"]["code"].lower()}
    steps = _steps(world, item)
    if steps:
        result["steps"] = steps
    if item.spec.type in _API:
        return {**result, **_of_api(world, item, v1)}
    variables: list[Json] = item.version.definition["config"].get("variables", [])
    result["variables"] = {"config": [{**one, "value": one["example"]} for one in variables], "extracted": []}
    result["bucket_keys"] = {"artifacts": f"{item.result_id}/artifacts"}
    if item.spec.type == "mobile":
        result["bucket_keys"]["device_logs"] = f"{item.result_id}/device_logs"
    else:
        result["start_url"] = v1["startUrl"]
        names = {"timeToInteractive": "time_to_interactive", "receivedEmailCount": "received_email_count"}
        result.update({there: int(v1[here]) for here, there in names.items() if here in v1})
    return result


def _of_api(world: World, item: Try, v1: Json) -> Json:
    config, subtype = item.version.definition["config"], item.spec.subtype
    told: Json = {"timings": v1["timings"]} if "timings" in v1 else {}
    if subtype != "multi":
        told["request"] = v2_steps.request(config["request"])
        outcomes = v1.get("assertionResults", [])
        told["assertions"] = [v2_steps.assertion(one, outcome) for one, outcome in zip(config["assertions"], outcomes, strict=False)]
    if "resolvedIp" not in v1:
        attempts = [{name: str(value) for name, value in attempt.items()} for attempt in v1.get("resolutionAttempts", [])]
        return {**told, "dns_resolution": {"attempts": attempts, "server": "8.8.4.4"}}
    told["resolved_ip"] = v1["resolvedIp"]
    told["dns_resolution"] = {"attempts": [], "resolved_ip": v1["resolvedIp"], "resolved_port": "443", "server": v1["dnsServer"]}
    if subtype == "http":
        told["response"] = _response(v1)
        told["trace"] = {"id": str(_rng(world, item).getrandbits(63)), "otel_id": world.uuid("datadog", "trace", item.result_id)}
    elif subtype == "ssl":
        told["cert"] = _certificate(v1["cert"])
        told["ocsp"] = {"status": "good", "updates": {"produced_at": item.check_ms - 3_600_000, "next_update": item.check_ms + DAY_MS}}
    elif subtype == "dns":
        told["response"] = {"records": [{"type": "A", "values": ["203.0.113.10", "203.0.113.11"]}]}
    elif subtype == "grpc":
        told["call_type"] = "unary"
        told["response"] = {"healthcheck": {"message": {"service": "shop.Stock"}, "status": 1}, "metadata": {"x-region": "eu"}}
    elif subtype == "websocket":
        told["sent_message"], told["received_message"] = config["request"]["message"], "subscribed: prices"
        told["handshake"] = {"request": {"method": "GET", "url": config["request"]["url"]}, "response": {"status_code": 101}}
        told["response"] = {"message": "subscribed: prices", "close": {"status_code": 1000, "reason": "done"}}
    elif item.spec.type == "network" or subtype in ("tcp", "icmp", "udp"):
        told.update(_of_probe(world, item, config["request"]))
    return told


def _response(v1: Json) -> Json:
    told = {"status_code": v1["httpStatusCode"], "headers": v1["responseHeaders"], "body_size": v1["responseSize"]}
    cache = {"cache-control": str(v1["responseHeaders"]["cache-control"])}
    told.update(http_version="2.0", is_body_truncated=False, cache_headers=cache, redirects=[])
    if "responseBody" in v1:
        told["body"] = v1["responseBody"]
    return told


def _certificate(v1: Json) -> Json:
    names = {"serialNumber": "serial_number", "extKeyUsage": "ext_key_usage"}
    told = {names.get(name, name): value for name, value in v1.items() if name not in ("validFrom", "validTo")}
    valid = {side: epoch_ms(_instant(v1[name])) for side, name in (("from", "validFrom"), ("to", "validTo"))}
    return {**told, "exponent": int(v1["exponent"]), "tls_version": 1.3, "valid": valid}


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _of_probe(world: World, item: Try, request: Json) -> Json:
    """What probes of packets saw: pings, hops, and of a network test the whole path."""
    rng = _rng(world, item)
    latency = {"min": round(rng.uniform(8, 15), 2), "avg": round(rng.uniform(16, 30), 2), "max": round(rng.uniform(31, 60), 2)}
    packets = {"packets_sent": 4, "packets_received": 4, "packet_loss_percentage": 0.0}
    hops = [(f"10.0.{number}.1", f"core{number}.net.example", round(rng.uniform(1, 12) * number, 2)) for number in range(1, 6)]
    host = str(request["host"])
    told: Json = {
        "netstats": {"latency": latency, **packets, "jitter": round(rng.uniform(0.2, 4), 2), "hops": {"avg": 5.0, "min": 5, "max": 6}},
        "traceroute": [
            {
                "host": host,
                "resolved_ip": "203.0.113.10",
                "packet_size": 56,
                **packets,
                "latency": {"min": rtt, "avg": rtt, "max": rtt},
                "routers": [{"ip": ip, "resolved_host": name}],
            }
            for ip, name, rtt in hops
        ],
    }
    if item.spec.type == "network":
        told["netpath"] = {
            "pathtrace_id": world.uuid("datadog", "path", item.result_id),
            "origin": "synthetics",
            "protocol": item.spec.subtype,
            "timestamp": item.check_ms,
            "source": {"hostname": f"worker-{item.location}"},
            "destination": {"hostname": host, "ip_address": "203.0.113.10", "port": request["port"]},
            "tags": list(item.spec.tags),
            "hops": [
                {"hostname": name, "ip_address": ip, "reachable": number != 3, "rtt": rtt, "ttl": number}
                for number, (ip, name, rtt) in enumerate(hops, start=1)
            ],
        }
    elif item.spec.subtype == "icmp":
        told["ping"] = {"host": host, "resolved_ip": "203.0.113.10", "packet_size": 56, **packets, "latency": latency}
    return told
