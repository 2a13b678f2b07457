"""Datadog's tests and API results -> table frames. Pure polars; browser results: `flatten_browser.py`."""

from __future__ import annotations

import polars as pl

from pipelines.providers.datadog import assertions as asserted
from pipelines.providers.datadog.assertions import KEEP, has_invalid
from pipelines.providers.datadog.common import (
    alt_names,
    base_frame,
    distinct_errors,
    error_frame,
    error_rows,
    failed,
    result,
    result_sightings,
    results,
)
from pipelines.providers.datadog.configuration import with_configuration
from pipelines.providers.datadog.leaves import ASSERTION_RESULT, certificate_time
from pipelines.transform.contradictions import overfull
from pipelines.transform.expressions import (
    as_json,
    explode_indexed,
    implausible,
    inner,
    json_object,
    members,
    non_negative,
    phase_rows,
    plain,
    quoted,
    said,
    whole,
)


def tests(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Test definitions -> `sightings`. `frequency_s` is options.tick_every (seconds)."""
    base = with_configuration(frame.unnest("doc"), "config").rename({"config_right": "canonical"})
    return {
        "sightings": base.select(
            "entity_id",
            pl.coalesce("public_id", "entity_id").alias("test_id"),
            pl.col("fetched_at").dt.convert_time_zone("UTC").alias("observed_at"),
            pl.lit("definition").alias("origin"),
            "name",
            pl.col("type").str.to_lowercase().alias("test_type"),
            "status",
            (pl.col("status") == "paused").alias("is_paused"),
            inner(pl.col("options"), "$.tick_every").cast(pl.Float64, strict=False).alias("frequency_s"),
            "locations",
            "tags",
            "target_url",
            pl.col("canonical").alias("config"),
            json_object(
                {
                    "subtype": quoted(pl.col("subtype")),
                    **{
                        name: pl.col(name)
                        for name in (
                            "message",
                            "monitor_id",
                            "creator",
                            "options",
                            "created_at",
                            "modified_at",
                            "modified_by",
                            "created_by",
                            "creation_source",
                            "deleted_at",
                            "org_id",
                            "overall_state",
                            "overall_state_modified",
                            "stepCount",
                            "steps",
                        )
                    },
                }
            ).alias("attributes"),
        )
    }


_TOTAL = result("timings").struct.field("total")


def api_result_rows(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """List rows of API results -> results, timings, assertions (the failed ones that errorMessage names), errors."""
    base = base_frame(frame)
    timings = _timings(base.with_columns(timings=result("timings")))
    return {
        "results": results(base, test_type="api", total=_TOTAL, columns=_measured(_TOTAL), attributes={}),
        "timings": timings,
        "assertions": asserted.unmatched(asserted.found_rows(base, "found")).drop("is_extra"),
        "errors": distinct_errors(error_rows(base)),
        "drift": overfull(timings, "/result/timings/total"),
    }


def api_results(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Full API results -> results, steps, timings, assertions, errors, certificates, exchanges, dns_records, sightings, drift."""
    base = base_frame(frame, assertion_results=True).with_columns(
        raw_config=pl.col("check").struct.field("config"), options=pl.col("check").struct.field("options")
    )
    base = with_configuration(base, "raw_config")
    steps = _steps(base)
    found = pl.concat([asserted.found_rows(base, "found"), asserted.found_rows(steps, "found")])
    matched = _at_known_steps(asserted.matched(asserted.configured_rows(base), found), steps)
    step_errors = error_frame(
        steps,
        "step",
        said(pl.col("failure").struct.field("message")),
        code=pl.col("failure").struct.field("code"),
    )
    timings = pl.concat([_timings(base.with_columns(timings=result("timings"))), _timings(steps)])
    at_step = pl.when(pl.col("step_index") >= 0).then(pl.lit("/result/steps/*/timings/total"))
    duration = pl.coalesce(_TOTAL, result("duration"))
    return {
        "results": results(
            base,
            test_type="api",
            total=_TOTAL,
            columns=[
                *_measured(duration),
                result("httpStatusCode").cast(pl.Int64, strict=False).alias("http_status_code"),
                plain(result("resolvedIp")).alias("resolved_ip"),
                plain(result("dnsServer")).alias("dns_server"),
            ],
            attributes={
                **{name: result(name) for name in ("resolvedIp", "dnsServer", "enrichment", "healthCheckRatio")},
                "resolutionAttempts": pl.when(~_is_filled_list("resolutionAttempts")).then(result("resolutionAttempts")),
                "duration": pl.when(_TOTAL.is_not_null()).then(result("duration")).otherwise(implausible(result("duration"))),
            },
        ),
        "steps": _step_rows(steps),
        "timings": timings,
        "assertions": matched.drop("is_extra"),
        "errors": distinct_errors([*error_rows(base), step_errors]),
        "certificates": _certificates(base),
        "exchanges": _exchanges(base),
        "dns_records": _dns_records(base),
        "sightings": result_sightings(base, "api"),
        "drift": pl.concat([asserted.drift(matched), overfull(timings, at_step.otherwise(pl.lit("/result/timings/total")))]),
    }


def _measured(duration: pl.Expr) -> list[pl.Expr]:
    return [non_negative(duration).alias("duration_ms"), non_negative(_TOTAL).alias("response_time_ms")]


def _timings(frame: pl.DataFrame) -> pl.DataFrame:
    return phase_rows(frame, "timings", keep=["entity_id", "result_key", "step_index"])


# --------------------------------------------------------------------------------------------------- multistep results


_SPELLINGS = ("assertionResults", "assertion_results", "assertions")
"""Where a step's outcomes stand: the first that is not empty. The others stay in `attributes`."""


def _steps(base: pl.DataFrame) -> pl.DataFrame:
    """One row per step of a multistep result, with its fields, `step_index`, `found` and the `spelling` it was found in."""
    listed = base.select(*KEEP, result("steps").alias("step"))
    steps = explode_indexed(listed, "step", "step_index").filter(pl.col("step").is_not_null()).unnest("step")
    is_told = [pl.col(name).list.len() > 0 for name in _SPELLINGS]
    return steps.with_columns(
        found=pl.coalesce(pl.when(told).then(name) for told, name in zip(is_told, _SPELLINGS, strict=True)),
        spelling=pl.coalesce(pl.when(told).then(pl.lit(name)) for told, name in zip(is_told, _SPELLINGS, strict=True)),
    )


def _at_known_steps(assertions: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Assertions of a configured step that the result does not hold belong to the whole result (step_index -1)."""
    known = steps.select("result_key", "step_index").with_columns(is_known=pl.lit(value=True))
    joined = assertions.join(known, on=["result_key", "step_index"], how="left", maintain_order="left")
    return joined.with_columns(step_index=pl.when("is_known").then("step_index").otherwise(-1)).drop("is_known")


def _step_rows(steps: pl.DataFrame) -> pl.DataFrame:
    is_skipped = pl.col("skipped").fill_null(value=False) | (pl.col("status") == "skipped").fill_null(value=False)
    total = pl.col("timings").struct.field("total")
    outcome = (
        pl.when(is_skipped)
        .then(pl.lit("skipped"))
        .when(pl.col("passed") | (pl.col("status") == "passed"))
        .then(pl.lit("passed"))
        .when(
            ~pl.col("passed")
            | (pl.col("status") == "failed")
            | failed(pl.col("failure"))
            | has_invalid(pl.col("found").cast(pl.List(asserted.FOUND)))
        )
        .then(pl.lit("failed"))
        .otherwise(pl.lit("unknown"))
    )
    other_spellings = {}
    for name in _SPELLINGS:
        is_other = (pl.col(name).list.len() > 0) & (pl.col("spelling") != name)
        if steps.select(is_other.any()).item():  # no payload is known that has two of them: the JSON of lists is made for those alone
            other_spellings[name] = pl.when(is_other).then(as_json(pl.col(name), [ASSERTION_RESULT]))
    return steps.select(
        "entity_id",
        "result_key",
        "step_index",
        pl.col("id").alias("step_id"),
        "name",
        pl.col("subtype").alias("kind"),
        outcome.alias("outcome"),
        pl.when(~is_skipped).then(non_negative(total)).alias("duration_ms"),
        inner(pl.col("request"), "$.url").alias("url"),
        said(pl.col("failure").struct.field("message")).alias("error_message"),
        json_object(
            {
                "status": quoted(pl.col("status")),
                "failureCode": quoted(pl.col("failure").struct.field("code")),
                **other_spellings,
                **{
                    name: pl.col(name)
                    for name in (
                        "passed",
                        "skipped",
                        "allowFailure",
                        "allow_failure",
                        "isCritical",
                        "request",
                        "response",
                        "httpStatusCode",
                        "responseSize",
                    )
                },
            }
        ).alias("attributes"),
    )


# ------------------------------------------------------------------------------------------- certificate and exchange


def _certificates(base: pl.DataFrame) -> pl.DataFrame:
    tls = [result("timings").struct.field(name) for name in ("handshake", "ssl")]
    handshake_ms = non_negative(pl.coalesce(tls)).alias("handshake_ms")
    certificates = base.filter(result("cert").is_not_null()).select("entity_id", "result_key", handshake_ms, result("cert")).unnest("cert")
    attributes = {name: pl.col(name) for name in ("subject", "issuer", "fingerprint256", "exponent", "modulus", "extKeyUsage")}
    for name in ("validFrom", "validTo"):
        attributes[name] = quoted(pl.when(certificate_time(pl.col(name)).is_null()).then(pl.col(name)))
    return certificates.select(
        "entity_id",
        "result_key",
        inner(pl.col("subject"), "$.CN").alias("subject_cn"),
        inner(pl.col("issuer"), "$.CN").alias("issuer_cn"),
        certificate_time(pl.col("validFrom")).alias("valid_from_at"),
        certificate_time(pl.col("validTo")).alias("valid_to_at"),
        "fingerprint",
        pl.col("serialNumber").alias("serial_number"),
        "cipher",
        "protocol",
        alt_names(inner(pl.col("subject"), "$.altName")).alias("alt_names"),
        "handshake_ms",
        json_object(attributes).alias("attributes"),
    )


def _exchanges(base: pl.DataFrame) -> pl.DataFrame:
    body, size = result("responseBody"), result("responseSize")
    columns = {
        "method": pl.col("method"),
        "url": pl.col("target_url"),
        "status_code": result("httpStatusCode").cast(pl.Int64, strict=False),
        "host": pl.col("host"),
        "port": whole(pl.col("port")),
        "resolved_ip": plain(result("resolvedIp")),
        "request_headers": result("requestHeaders"),
        "response_headers": result("responseHeaders"),
        "response_body": body,
        "response_bytes": size.cast(pl.Int64, strict=False),
    }
    return base.select(
        "entity_id",
        "result_key",
        "step_index",
        pl.lit(0, dtype=pl.Int64).alias("exchange_index"),
        **columns,
    ).filter(pl.any_horizontal(pl.col(list(columns)).is_not_null()))


def _is_filled_list(name: str) -> pl.Expr:
    return result(name).str.contains(r"^\[\s*[^\]\s]").fill_null(value=False)


def _dns_records(base: pl.DataFrame) -> pl.DataFrame:
    """One row per attempt to resolve the host's name. Their inside is not documented: objects stay whole in `attributes`."""
    name = "resolutionAttempts"
    listed = base.filter(_is_filled_list(name)).select("entity_id", "result_key", "step_index", members(result(name)).alias("attempt"))
    attempts = explode_indexed(listed, "attempt", "record_index").unnest("attempt")
    is_object = pl.col("value").str.starts_with("{")
    return attempts.select(
        *("entity_id", "result_key", "record_index", "step_index"),
        pl.lit("attempt").alias("kind"),
        pl.when(~is_object).then(plain(pl.col("value"))).alias("value"),
        pl.when(is_object).then("value").alias("attributes"),
    )
