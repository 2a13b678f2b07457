"""Masking where two rules meet: names that become one, places without end, words with nothing behind them."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.lake import patterns, redact
from pipelines.lake.redact import Redactor
from pipelines.schemas.leaves import FREE, HEADERS, MASKED, SCRUBBED, TEXT, OneOf, Tree

REDACTOR = Redactor(b"k" * 32)
S = "Zq7xR2mVw9"


def test_two_names_that_become_one_by_masking_keep_both_values() -> None:
    signed = {f"https://s.example/a.png?X-Amz-Signature={letter}{S}": number for number, letter in enumerate("abc")}
    assert REDACTOR.redact({"urls": signed}, {"urls": FREE}) == {
        "urls": {"https://s.example/a.png": 0, "https://s.example/a.png#": 1, "https://s.example/a.png##": 2}
    }


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (["X-Api-Key", S], ["X-Api-Key", REDACTOR.mask(S)]),
        (["accept", f"password={S}"], ["accept", f"password={REDACTOR.mask(S)}"]),
        ({"name": "cookie", "value": S, "id": 7}, {"name": "cookie", "value": REDACTOR.mask(S), "id": 7}),
        ({"name": "accept", "value": "text/html"}, {"name": "accept", "value": "text/html"}),
        (["set-cookie", S, "third"], ["set-cookie", S, "third"]),  # three are no pair of name and value
        ([1, S], [1, S]),
        (f"token={S}", f"token={REDACTOR.mask(S)}"),
        (5, 5),
    ],
)
def test_headers_in_a_list_are_masked_by_their_names_in_every_form(item: Any, expected: Any) -> None:
    assert REDACTOR.redact([item], HEADERS) == [expected]
    assert REDACTOR.redact({"response_headers": [item]}, {}) == {"response_headers": [expected]}


@pytest.mark.parametrize("headers", [f"Cookie: {S}", 3, True])
def test_headers_that_are_no_headers_are_scrubbed(headers: object) -> None:
    assert S not in str(REDACTOR.redact(headers, HEADERS))
    assert REDACTOR.redact("accept: text/html", HEADERS) == "accept: text/html"


def test_the_value_beside_a_secret_name_is_masked_only_where_its_declaration_scrubs() -> None:
    tree: dict[str, Tree] = {"name": SCRUBBED, "value": SCRUBBED}
    assert REDACTOR.redact({"name": "db_password", "value": S}, tree) == {"name": "db_password", "value": REDACTOR.mask(S)}
    assert REDACTOR.redact({"name": "db_host", "value": S}, tree) == {"name": "db_host", "value": S}
    for form, value in (
        (OneOf(scalar=SCRUBBED), REDACTOR.mask(S)),
        (OneOf(list=SCRUBBED), REDACTOR.mask(S)),
        (OneOf(scalar=TEXT), S),
        (TEXT, S),
    ):
        tree["value"] = form
        assert REDACTOR.redact({"name": "db_password", "value": S}, tree)["value"] == value


def test_a_text_where_an_object_with_a_secret_in_one_of_its_forms_is_documented_is_masked_whole() -> None:
    for form in (OneOf(scalar=MASKED), OneOf(object={"deep": MASKED}), OneOf(list={"deep": MASKED})):
        assert REDACTOR.redact({"login": S}, {"login": {"given": form}}) == {"login": REDACTOR.mask(S)}
    assert REDACTOR.redact({"login": S}, {"login": {"given": OneOf(scalar=SCRUBBED)}}) == {"login": S}


def test_our_own_keys_are_masked_in_every_form_and_short_ones_are_no_keys() -> None:
    own = Redactor(b"k" * 32, own=("ab/cd+ef gh", 'quote"d-secret', "short"))
    text = 'a ab/cd+ef gh b ab%2Fcd%2Bef%20gh c ab%2Fcd%2Bef+gh d quote\\"d-secret e short'
    key, quoted = own.mask("ab/cd+ef gh"), own.mask('quote"d-secret')
    assert own.without_own(text) == f"a {key} b {key} c {key} d {quoted} e short"


def test_suspicious_places_of_several_kinds_count_together() -> None:
    few = "".join(f"https://u{number}:{S}@h/ Bearer {S}{number} " for number in range(patterns.MAX_PLACES // 2))
    assert S not in REDACTOR.scrub(few)
    assert REDACTOR.scrub(few).startswith("https://***")
    many = few + f" Bearer {S} more"
    assert REDACTOR.scrub(many) == REDACTOR.mask(many)


@pytest.mark.parametrize("before", ["jwt: ", "my_jwt=", "the JWT is: ", "x=1&signature=", "Cookie: a\nCookie: "])
def test_a_secret_word_takes_what_stands_behind_it(before: str) -> None:
    assert REDACTOR.scrub(before + S) == before.replace(" a\n", f" {REDACTOR.mask('a')}\n") + REDACTOR.mask(S)


@pytest.mark.parametrize(
    "text",
    [
        "Cookie:\nnext line",
        "set-cookie: \r\nnext line",
        "ajwt: no word of ours",
        "the signature is missing",
        "<password></password>",
        "password=",
        "the task-force knows that AKIA, eyJ and ghp_ are how keys begin",
    ],
)
def test_a_secret_word_with_nothing_behind_it_takes_nothing(text: str) -> None:
    assert REDACTOR.scrub(text) == text


def test_a_key_that_begins_twice_is_gone_up_to_its_end_and_one_that_does_not_end_to_the_last_letter() -> None:
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{S}\n-----BEGIN CERTIFICATE-----\n{S}\n-----END CERTIFICATE-----"
    assert REDACTOR.scrub(f"cert {key} rest") == f"cert {REDACTOR.mask(key)} rest"
    for cut in (key[:40], key[:70], key[:-3]):
        assert REDACTOR.scrub(f"cert {cut}") == f"cert {REDACTOR.mask(cut)}"


def test_a_text_that_never_comes_to_rest_is_one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "_PASSES", 1)  # no text is known that needs more than three
    assert patterns.MASK.fullmatch(REDACTOR.scrub(f"token={S} and more"))
