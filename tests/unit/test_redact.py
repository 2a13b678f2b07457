"""Masking of documents and texts: what must never reach the disk, and what must come through untouched."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import simplejson
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import jsontext
from pipelines.lake import patterns
from pipelines.lake.redact import MAX_LINE_CHARS, Redactor
from pipelines.schemas.leaves import FREE, HEADERS, MASKED, NUMBER, RAW, SCRUBBED, TEXT, Free, OneOf, Tree

REDACTOR = Redactor(b"k" * 32)
S = "Zq7xR2mVw9"  # the planted value; upper, lower, digits, so that it looks like nothing in the texts around it
HEX32 = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
ALNUM = "a1B2c3D4e5F6g7H8j9K0"


def is_mask(value: object) -> bool:
    return isinstance(value, str) and patterns.MASK.fullmatch(value) is not None


# One text per shape, with the part that must be gone.
TEXTS: dict[str, tuple[str, str]] = {
    "quoted before the word": (f"Enter '{S}' in the password field", S),
    "quoted after the word": (f'Type password "{S}"', S),
    "backticks": (f"fill the token with `{S}`", S),
    "typographic quotes": (f"enter the secret \u201c{S}\u201d now", S),
    "guillemets": (f"saisir le token «{S}»", S),
    "apostrophes around": (f"don't use the user's '{S}' as password", S),
    "python bytes": (f"password was b'{S}'", S),
    "escaped quotes": (f'body {{\\"token\\": \\"{S}\\"}} sent', S),
    "quote never closed": (f"typed '{S} into the password fie", S),
    "head of a JSON text cut off": (f'bcd!","token":"{S}"}}', S),
    "tail of a JSON text cut off": (f'{{"user":"bob","client_secret":"{S}', S),
    "otp": (f"Enter otp '{S}'", S),
    "otp number": ("otp: 483920", "483920"),
    "unquoted json key": ('code {"otp": 483920', "483920"),
    "equals": (f"password={S}", S),
    "colon": (f"token: {S}", S),
    "arrow": (f"secret => {S}", S),
    "is": (f"the password is: {S}", S),
    "camel case": (f"clientSecret={S}", S),
    "prefixed": (f"DB_PASSWORD={S} HOST=db", S),
    "suffixed": (f"aws_secret_access_key = {S}", S),
    "pwd": (f"Server=db;Uid=sa;Pwd={S};", S),
    "passphrase": (f"passphrase: {S}", S),
    "api key": (f"api key: {S}", S),
    "api-key header": (f"X-API-KEY: {S}", S),
    "application key header": (f"DD-APPLICATION-KEY: {S}", S),
    "subscription key": (f"Ocp-Apim-Subscription-Key: {S}", S),
    "credential": (f"credential={S}", S),
    "form body": (f"grant_type=password&username=bob&password={S}&x=1", S),
    "form body, ampersand inside": (f"password=a&{S}", S),
    "url-encoded form": (f"password%3D{S}", S),
    "xml": (f"<user>bob</user><password>{S}</password>", S),
    "html input": (f'<input type="password" value="{S}">', S),
    "authorization bearer": (f"Authorization: Bearer {S}", S),
    "authorization digest": (f'Authorization: Digest username="bob", response="{S}"', S),
    "bearer alone": (f"sent Bearer {S} to the API", S),
    "bearer in single quotes": (f"-H 'Authorization: Bearer {S}' https://example.com", S),
    "basic": ("Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    "cookie": (f"Cookie: theme=dark; sid={S}", S),
    "set-cookie": (f"set-cookie: sid={S}; Expires=Wed, 21 Oct 2026 07:28:00 GMT; id={S}", S),
    "quoted cookie with quotes inside": (f'cookie: "a=\\"x\\"; sid={S}"', S),
    "quoted password with a quote inside": (f'password: "ab\\"{S}"', S),
    "url user info": (f"https://bob:{S}@example.com/path", S),
    "url user only": (f"https://{S}@github.com/a/b.git", S),
    "url password with at": (f"ftp://bob:p@{S}@host/x", S),
    "database url": (f"postgresql://app:{S}@db:5432/app", S),
    "jdbc": (f"jdbc:postgresql://db/app?user=a&password={S}", S),
    "applitools url": (f"https://a.example/api/result/1?apiKey={S}&read_token=x", S),
    "read token": (f"GET /api/result/1?read_token={S}", S),
    "url key": (f"https://maps.example/api?key={S}&q=x", S),
    "url sig": (f"https://acct.blob.example/c/b?sv=2020&sig={S}", S),
    "aws v4": (f"https://b.s3.example/k?X-Amz-Credential={S}&X-Amz-Signature={S}&X-Amz-Expires=60", S),
    "aws v2": (f"https://b.s3.example/k?AWSAccessKeyId={S}&Expires=1&Signature={S}", S),
    "google": (f"https://storage.example/b/o?X-Goog-Signature={S}", S),
    "cloudfront": (f"https://d.cloudfront.example/v.webm?Expires=1&Signature={S}&Key-Pair-Id=K", S),
    "sigv4 header": (f"AWS4-HMAC-SHA256 Credential={S}/20260101/x, Signature={S}", S),
    "fragment token": (f"https://app.example/cb#access_token={S}&state=1", S),
    "session id": (f"/cart;jsessionid={S}?a=1", S),
    "aws key id": ("key AKIAIOSFODNN7EXAMPL2 used", "AKIAIOSFODNN7EXAMPL2"),
    "aws temporary key id": ("ASIAIOSFODNN7EXAMPL2", "ASIAIOSFODNN7EXAMPL2"),
    "github": (f"ghp_{ALNUM}{ALNUM}", ALNUM),
    "github fine-grained": (f"github_pat_{ALNUM}_{ALNUM}", ALNUM),
    "slack bot": (f"xoxb-{ALNUM}-{ALNUM}", ALNUM),
    "slack hook": (f"https://hooks.slack.com/services/T0/B0/{ALNUM}", ALNUM),
    "stripe": (f"sk_live_{ALNUM}", ALNUM),
    "stripe restricted": (f"rk_test_{ALNUM}", ALNUM),
    "webhook secret": (f"whsec_{ALNUM}", ALNUM),
    "google api": (f"AIza{ALNUM}{ALNUM[:15]}", ALNUM),
    "gitlab": (f"glpat-{ALNUM}", ALNUM),
    "npm": (f"npm_{ALNUM}{ALNUM}", ALNUM),
    "sendgrid": (f"SG.{ALNUM}.{ALNUM}", ALNUM),
    "openai": (f"sk-proj-{ALNUM}", ALNUM),
    "checkly": (f"cu_{HEX32}", HEX32),
    "jwt": (f"got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{ALNUM} back", ALNUM),
    "pem": (f"-----BEGIN RSA PRIVATE KEY-----\n{ALNUM}\n-----END RSA PRIVATE KEY-----", ALNUM),
    "pem cut off": (f"-----BEGIN PRIVATE KEY-----\\n{ALNUM}", ALNUM),
    "datadog api key": (f"key {HEX32} rejected", HEX32),
    "datadog application key": (f"application key is {HEX32}01234567", HEX32),
}

# What a document may hold without any declaration: mask by name, by pair, by header, inside JSON texts.
DOCUMENTS: dict[str, Any] = {
    "basicAuth web": {"basicAuth": {"type": "web", "username": "bob", "password": S}},
    "basicAuth sigv4": {"accessKey": S, "secretKey": S, "sessionToken": S, "region": "eu"},
    "basicAuth oauth": {"clientSecret": S, "resource": "r"},
    "number as secret": {"otp_secret": 4839201},
    "certificate key": {"privateKey": {"content": S}},
    "nested below the name": {"credentials": [{"a": {"b": S}}]},
    "variable": {"name": "API_TOKEN", "value": S},
    "secret variable": {"key": "db_password", "type": "TEXT", "value": S},
    "header pair": {"requestHeaders": [{"name": "X-Session", "value": S}]},
    "header list": {"responseHeaders": {"set-cookie": [f"a={S}", f"b={S}"]}},
    "header twos": {"headers": [["Cookie", f"a={S}"]]},
    "assertion on a header": {"type": "header", "property": "set-cookie", "actual": S, "target": S},
    "assertion on a path": {"type": "body", "property": "$.access_token", "expected": S},
    "error message as JSON": {"errorMessage": json.dumps([{"property": "authorization", "type": "header", "actual": S}])},
    "body as JSON": {"body": json.dumps({"user": "bob", "password": S})},
    "body with a key twice": {"body": f'{{"password":"{S}","password":"***0123456789ab"}}'},
    "body with an escaped key": {"body": f'{{"\\u0070assword":"{S}"}}'},
    "JSON in JSON": {"body": json.dumps({"a": json.dumps({"token": S})})},
    "JSON in JSON in JSON": {"body": json.dumps({"a": json.dumps({"b": json.dumps({"token": S})})})},
    "a secret as key": {"seen": {f"https://bob:{S}@host/": 1}},
    "map of maps": {"config": {"x": {"apiKey": S}}},
}


def test_at_least_sixty_shapes_are_planted() -> None:
    assert len(TEXTS) + len(DOCUMENTS) >= 60


@pytest.mark.fault("X2")
@pytest.mark.parametrize("shape", TEXTS)
def test_no_planted_secret_survives_in_a_text(shape: str) -> None:
    text, secret = TEXTS[shape]
    for surrounded in (text, f"Step failed: {text}", f"{text}\nnext line", f"a {text} b"):
        scrubbed = REDACTOR.scrub(surrounded)
        assert secret not in scrubbed
        assert REDACTOR.scrub(scrubbed) == scrubbed


@pytest.mark.fault("X2")
@pytest.mark.parametrize("shape", TEXTS)
def test_no_planted_secret_survives_inside_a_json_text(shape: str) -> None:
    text, secret = TEXTS[shape]
    body = json.dumps({"message": text, "list": [1, text]})
    scrubbed = REDACTOR.scrub(body)
    assert secret not in scrubbed
    assert json.loads(scrubbed)["list"][0] == 1


@pytest.mark.fault("X2")
@pytest.mark.parametrize("shape", DOCUMENTS)
def test_no_planted_secret_survives_in_an_undocumented_field(shape: str) -> None:
    for document in (DOCUMENTS[shape], [DOCUMENTS[shape]], {"result": {"list": [DOCUMENTS[shape]]}}):
        masked = REDACTOR.redact(document, FREE)
        assert S not in jsontext.dump(masked)
        assert "4839201" not in jsontext.dump(masked)
        assert REDACTOR.redact(masked, FREE) == masked


CLEAN = [
    "Click the 'Sign in' button",
    "expected 200 but got 503 in 1.25 s",
    "https://example.com/path?page=2&sort=asc#top",
    "Basic auth failed: Bearer token missing",
    "footprint: 3, hotplug: 'yes', keyboard: 'qwertz'",
    "tokenizer-less text about secretaries, passwordless too",
    '{"status": "ok", "items": [1, 2.50, null, {"a": "b"}], "url": "https://x.example/a?b=c"}',
    "{'not': 'json'}",
    "[1, 2, 3] and then text",
    "<html><body class='x'>It's 5\" wide</body></html>",
    "git@github.com:org/repo.git at https://medium.example/@bob",
    "",
    "   ",
    "Ünïcödé ﬁ İstanbul 中文 🙂",
    "***0123456789ab",
]


@pytest.mark.fault("X2")
@pytest.mark.parametrize("text", CLEAN)
def test_clean_text_is_unchanged(text: str) -> None:
    assert REDACTOR.scrub(text) == text


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["the", "page", "'loads'", "3 s,", "200", '"ok"', "/a/b?c=d", "{x}", "[y]", "it's", "50%", "é\n"])))
def test_text_without_a_secret_word_is_unchanged(words: list[str]) -> None:
    text = " ".join(words)
    assert REDACTOR.scrub(text) == text


FRAGMENTS = [*"\"'`\\{}[]?&=:<>@/ \n,;.#\u201c", *(text for text, _ in TEXTS.values()), "a", "b'", "token", '{"a":']


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12))
def test_scrubbing_twice_is_scrubbing_once(parts: list[str]) -> None:
    once = REDACTOR.scrub("".join(parts))
    assert REDACTOR.scrub(once) == once


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(TEXTS)), st.text(st.characters(codec="utf-8"), max_size=30))
def test_a_secret_on_its_own_line_is_gone_whatever_comes_before(shape: str, before: str) -> None:
    text, secret = TEXTS[shape]
    assert secret not in REDACTOR.scrub(f"{before}\n{text}")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from([text for text, _ in TEXTS.values()]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["a", "password", "headers", "name", "value", "Cookie", "x"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
TREE: dict[str, Tree] = {
    "a": TEXT,
    "password": MASKED,
    "headers": HEADERS,
    "name": SCRUBBED,
    "value": OneOf(scalar=SCRUBBED, object={"x": MASKED}, list=NUMBER),
    "x": [{"a": SCRUBBED, "password": MASKED}],
}


@settings(max_examples=200, deadline=None)
@given(json_values, st.sampled_from([TREE, FREE, [TREE], {"x": TREE}]))
def test_redacting_twice_is_redacting_once(document: Any, tree: Tree) -> None:
    once = REDACTOR.redact(document, tree)
    assert REDACTOR.redact(once, tree) == once
    assert REDACTOR.redact(document, tree) == once


# --- classes ----------------------------------------------------------------------------------------------------------


def test_masked_leaf_masks_every_scalar_below_but_null_and_empty() -> None:
    number = simplejson.RawJSON("1.50")
    document = {"p": ["a", "a", "", None, True, False, 0, number, {"q": "b"}]}
    masked = REDACTOR.redact(document, {"p": MASKED})["p"]
    assert masked[0] == masked[1]
    assert masked[2:4] == ["", None]
    assert all(is_mask(value) for value in (*masked[:2], *masked[4:8], masked[8]["q"]))
    assert masked[7] == REDACTOR.mask("1.50")


def test_masks_differ_by_value_and_by_key() -> None:
    assert REDACTOR.mask("a") != REDACTOR.mask("b")
    assert REDACTOR.mask("a") != Redactor(b"z" * 32).mask("a")


def test_kept_leaf_is_untouched_whatever_it_says() -> None:
    document = {"token": f"password={S}", "n": simplejson.RawJSON("0.10"), "none": None}
    kept = REDACTOR.redact(document, {"token": TEXT, "n": NUMBER, "none": TEXT})
    assert kept["token"] == f"password={S}"
    assert jsontext.dump(kept["n"]) == "0.10"
    assert kept["none"] is None


def test_key_order_and_number_literals_stay() -> None:
    body = b'{"z":1.10,"a":12345678901234567890123,"password":"x","m":[1e5]}'
    masked = REDACTOR.redact(jsontext.parse(body)[0], {"z": NUMBER, "a": NUMBER, "m": [NUMBER]})
    assert jsontext.dump(masked) == ('{"z":1.10,"a":12345678901234567890123,"password":"' + REDACTOR.mask("x") + '","m":[1e5]}')


def test_text_where_a_number_is_documented_is_scrubbed() -> None:
    assert S not in REDACTOR.redact({"n": f"password={S}"}, {"n": NUMBER})["n"]


def test_object_where_a_kept_scalar_is_documented_goes_by_name() -> None:
    masked = REDACTOR.redact({"a": {"token": S, "b": "c"}}, {"a": RAW})
    assert is_mask(masked["a"]["token"])
    assert masked["a"]["b"] == "c"


@pytest.mark.parametrize("value", [S, {"v": S}, [{"v": S}], {"x": {"value": S}}, [[S]], [[{"v": S}]], {"0": {"v": S}}])
def test_another_type_than_declared_is_never_less_strict(value: Any) -> None:
    for tree in (
        {"a": [{"v": MASKED, "value": MASKED}]},
        {"a": MASKED},
        {"a": OneOf(list={"v": MASKED, "value": MASKED})},
    ):
        assert S not in jsontext.dump(REDACTOR.redact({"a": value}, tree))


def test_a_single_object_where_a_list_is_documented_keeps_its_classes() -> None:
    tree: Tree = {"steps": [{"value": MASKED, "id": TEXT}]}
    masked = REDACTOR.redact({"steps": {"id": "token 'x'", "value": S}}, tree)
    assert masked["steps"]["id"] == "token 'x'"
    assert is_mask(masked["steps"]["value"])


def test_one_of_is_treated_by_its_json_type() -> None:
    tree: Tree = {"v": OneOf(scalar=MASKED, object={"id": TEXT, "pin": MASKED}, list=SCRUBBED)}
    assert is_mask(REDACTOR.redact({"v": "x"}, tree)["v"])
    assert REDACTOR.redact({"v": {"id": "x", "pin": "1"}}, tree)["v"] == {"id": "x", "pin": REDACTOR.mask("1")}
    assert REDACTOR.redact({"v": ["x", f"token={S}"]}, tree)["v"][0] == "x"
    assert is_mask(REDACTOR.redact({"v": {"x": 1}}, {"v": OneOf(scalar=MASKED)})["v"]["x"])
    assert REDACTOR.redact({"v": None}, tree) == {"v": None}


def test_free_may_be_kept_or_masked_whole() -> None:
    assert REDACTOR.redact({"a": {"token": "x"}}, {"a": Free("keep")}) == {"a": {"token": "x"}}
    assert is_mask(REDACTOR.redact({"a": {"b": ["x"]}}, {"a": Free("mask")})["a"]["b"][0])


@pytest.mark.parametrize(
    "name",
    ["Authorization", "X-Auth-User", "x-csrf-token", "DD-API-KEY", "X-Secret", "x-session-id", "set-cookie", "Cookie"],
)
def test_headers_that_say_secret_are_masked_whole(name: str) -> None:
    assert is_mask(REDACTOR.redact({name: "short"}, HEADERS)[name])
    assert is_mask(REDACTOR.redact([{"name": name, "value": "short"}], HEADERS)[0]["value"])


def test_other_headers_are_scrubbed_only() -> None:
    headers = {"content-type": "text/html", ":authority": "example.com", "location": f"https://u:{S}@h/", "age": 5}
    masked = REDACTOR.redact(headers, HEADERS)
    assert masked["content-type"] == "text/html"
    assert masked[":authority"] == "example.com"
    assert masked["age"] == 5
    assert masked["location"].startswith("https://***")


@pytest.mark.fault("X2")
@pytest.mark.parametrize(
    "name",
    ["password", "userPassword", "PASSWD", "pwd", "client_secret", "otp", "totpCode", "apiKey", "api-key", "API_KEY",
     "accessToken", "credentials", "authorization", "setCookie", "private_key", "basicAuth", "x.api.key", "passWord", "UserPassWord",
     "pass_word", "Pass-Phrase", "pass code", "passWd"],
)  # fmt: skip
def test_undocumented_field_whose_name_says_secret_is_masked(name: str) -> None:
    assert is_mask(REDACTOR.redact({name: "x"}, {})[name])


@pytest.mark.fault("X2")
@pytest.mark.parametrize(
    "name",
    [
        "footprint",
        "compass_width",
        "passWidth",
        "isNotPassed",
        "hotplug",
        "keyboard",
        "monkey",
        "author",
        "testSessionId",
        "passed",
        "bucketKey",
    ],
)
def test_undocumented_field_with_a_harmless_name_is_kept(name: str) -> None:
    assert REDACTOR.redact({name: "x"}, {}) == {name: "x"}


@pytest.mark.parametrize("place", ["selector", "label", "field", "element"])
def test_what_is_typed_into_a_secret_field_is_masked(place: str) -> None:
    typed = REDACTOR.redact({place: "#password", "value": "Kitten7", "text": "Kitten8", "delay": 20}, FREE)
    assert typed == {place: "#password", "value": REDACTOR.mask("Kitten7"), "text": REDACTOR.mask("Kitten8"), "delay": 20}
    assert REDACTOR.redact({place: "#search", "value": "shoes"}, FREE) == {place: "#search", "value": "shoes"}


def test_flag_with_a_secret_name_stays_a_flag() -> None:
    assert REDACTOR.redact({"persistCookies": False}, FREE) == {"persistCookies": False}


# --- texts ------------------------------------------------------------------------------------------------------------


def test_step_text_keeps_its_words_and_masks_the_quoted_part() -> None:
    assert REDACTOR.scrub("Enter 'x1' in the password field") == f"Enter '{REDACTOR.mask('x1')}' in the password field"


@pytest.mark.parametrize(
    "query",
    ["X-Amz-Signature=a&X-Amz-Date=b", "AWSAccessKeyId=a&Signature=b&Expires=1", "sv=1&sig=b", "Expires=1&Policy=p",
     "prefix=1&amp;X-Goog-Signature=b"],
)  # fmt: skip
@pytest.mark.fault("X3")
def test_signed_url_loses_its_query_so_equal_content_stays_equal(query: str) -> None:
    url = "https://bucket.example/run/1/shot.png"
    assert REDACTOR.scrub(f"{url}?{query}") == url
    assert REDACTOR.scrub(f"see {url}?{query} and (b)") == f"see {url} and (b)"
    assert REDACTOR.redact({"u": f"{url}?{query}"}, {"u": SCRUBBED}) == {"u": url}


def test_unsigned_query_stays() -> None:
    assert REDACTOR.scrub("https://x.example/a?expires=never&b=1") == "https://x.example/a?expires=never&b=1"


def test_clean_json_text_keeps_its_bytes_and_masked_json_stays_json() -> None:
    clean = '{ "a": 1.50,\n  "b": [ "token" ] }'
    assert REDACTOR.scrub(clean) == clean
    masked = REDACTOR.scrub('{ "a": 1.50, "token": "x" }')
    assert masked == f'{{"a":1.50,"token":"{REDACTOR.mask("x")}"}}'


def test_assertion_list_in_an_error_message_stays_readable() -> None:
    text = '[{"index":0,"operator":"is","type":"statusCode","target":200,"valid":false,"actual":503}]'
    assert REDACTOR.scrub(text) == text


@pytest.mark.fault("X9")
def test_line_is_one_scrubbed_line_of_bounded_length() -> None:
    line = REDACTOR.redact_line(f"GET https://a.example/?apiKey={S}\n failed: " + "x" * 5000)
    assert S not in line
    assert "\n" not in line
    assert len(line) == MAX_LINE_CHARS


def test_text_with_too_many_places_is_one_secret() -> None:
    assert is_mask(REDACTOR.scrub("password=x " * 200_000))
    assert is_mask(REDACTOR.scrub("'a' " * 200_000 + "password"))


N = 1_000_000
HOSTILE = {
    "quotes": "'a' " * (N // 4) + "password",
    "double quotes": '"' * N + "token",
    "backslashes": "\\" * N + 'token"',
    "values in values": "token=" * (N // 6),
    "long values": ("token=" + "a" * 600) * (N // 606),
    "queries": "? " * (N // 2) + "sig=",
    "jwt starts": ("eyJ" + "a" * 500 + " ") * (N // 504),
    "schemes": "://a" * (N // 4),
    "one long user info": "://" + "a" * N,
    "many starts": "AKIA ghp_ xox sk- eyJ SG. password token :// ? & key= ".ljust(500, "x") * (N // 500),
    "open brackets": "[" * N,
    "open objects": '{"a":' * (N // 5),
    "spaces": "token" + " " * N,
    "hex": "key:" + "0" * N,
    "pem starts": "-----BEGIN " * (N // 11),
    "tags": "<password>" * 100 + "<" * N,
}


@pytest.mark.fault("X12")
@pytest.mark.parametrize("kind", HOSTILE)
def test_one_hostile_megabyte_takes_less_than_a_tenth_of_a_second(kind: str) -> None:
    times = []
    for _ in range(4):
        start = time.process_time()
        REDACTOR.scrub(HOSTILE[kind])
        times.append(time.process_time() - start)
    assert min(times) < 0.1


LONG_NAMES = (
    "aB" * (N // 2),
    "apikey" * (N // 6),
    "pass" * (N // 4),
    "a" * N,
    "-_" * (N // 2),
    "1Aa " * (N // 4),
    f"{'x' * N}token",
    "otp " * (N // 4),
)


@pytest.mark.fault("X12")
def test_one_hostile_megabyte_as_a_name_takes_less_than_a_tenth_of_a_second(record_property: Callable[[str, object], None]) -> None:
    places: list[tuple[Callable[[str], Any], Tree]] = [
        (lambda name: {name: S}, {}),
        (lambda name: {name: S}, FREE),
        (lambda name: {name: S}, HEADERS),
        (lambda name: [{"name": name, "value": S}], FREE),
        (lambda name: [[name, S]], HEADERS),
    ]
    for name in LONG_NAMES:
        for document, tree in places:
            times: list[float] = []
            while len(times) < 4 and min(times, default=1.0) >= 0.1:  # a machine that does other things has a few goes
                start = time.process_time()
                REDACTOR.redact(document(name), tree)
                times.append(time.process_time() - start)
            assert min(times) < 0.1, (name[:20], tree)
    masked = REDACTOR.redact({f"{'x' * N}Token": S, "x" * N: "plain"}, {})
    assert [is_mask(value) for value in masked.values()] == [True, False]
    record_property("cases", len(LONG_NAMES) * len(places))


@pytest.mark.fault("X12")
def test_names_that_become_one_by_masking_stay_apart_in_linear_time(record_property: Callable[[str, object], None]) -> None:
    signed = {f"https://s.example/a.png?sig={number}": number for number in range(8_000)}
    start = time.process_time()
    masked = REDACTOR.redact({"urls": signed}, FREE)
    assert time.process_time() - start < 4  # counting up a mark for each took a minute
    assert list(masked["urls"].values()) == list(signed.values())
    assert not any("sig=" in name for name in masked["urls"])
    assert REDACTOR.redact(masked, FREE) == masked
    empty = {**{f"?sig={number}": number for number in range(5)}, "": 5, "#": 6}
    assert list(REDACTOR.redact(empty, FREE).values()) == list(range(7))
    record_property("cases", len(signed) + len(empty))
